"""Whole conversations with a proxy, as the turns that its two ends take."""

from __future__ import annotations

from codec import rfc1929
from codec.address import Address
from codec.command import Command
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.socks6 import messages, udp, wire
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import options as options04
from codec.socks6.draft04 import wire as wire04
from codec.socks6.option_list import Options
from codec.socks6.options import (
    AuthenticationMethodAdvertisement,
    AuthenticationMethodSelection,
    IdempotenceExpenditure,
    IdempotenceWindow,
    SessionId,
    SessionRequest,
)
from codec.socks6.stack import Leg, Multipath, Tos, Ttl
from tests.codec.dissector.capture import Connection

Turns = list[tuple[bool, bytes]]
"""Whether the client speaks, and what it says."""
HOST, BOUND = Address.of("www.example"), Address.of("192.0.2.9")
GET = b"GET /index HTTP/1.1\r\nHost: www.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
PASSWORD = b"hunter2"
CREDENTIALS = rfc1929.encode_user_password(rfc1929.UserPassword(b"alice", PASSWORD))
ACCEPTED = rfc1929.encode_status(rfc1929.UserPasswordStatus(True))
INITIAL = b"GET /first HTTP/1.1\r\nHost: www.example\r\n\r\n"


def request(command: Command = Command.CONNECT, options: Options = (), port: int = 80) -> bytes:
    return wire.encode_request(messages.Request(command, HOST, port, options))


def authenticated(options: Options = (), *, success: bool = True) -> bytes:
    kind = messages.AuthenticationType.SUCCESS if success else messages.AuthenticationType.FAILURE
    return wire.encode_authentication_reply(messages.AuthenticationReply(kind, options))


def operated(code: ReplyCode = ReplyCode.SUCCEEDED, options: Options = ()) -> bytes:
    return wire.encode_operation_reply(messages.OperationReply(code, BOUND, 4000, options))


METHODS = AuthenticationMethodAdvertisement(len(INITIAL), (AuthenticationMethod.USER_PASSWORD,))
DEMAND = authenticated((AuthenticationMethodSelection(AuthenticationMethod.USER_PASSWORD),), success=False)
STACK = Tos(Leg.BOTH, 0x2C), Ttl(Leg.PROXY_REMOTE, 3), Multipath(Leg.PROXY_REMOTE, True)
WINDOW = SessionId(b"\xaa\xbb\xcc\xdd"), IdempotenceWindow(7, 8)
ID = bytes(range(0xF0, 0xF8))
QUERY = bytes.fromhex("123401000001000000000000036e6673076578616d706c650000010001")
"""A DNS query for nfs.example."""
DATAGRAM = udp.encode_udp(udp.Datagram(ID, BOUND, 53, QUERY))

FALSE_START: Turns = [(True, request(options=STACK) + GET), (False, authenticated() + operated(options=STACK) + OK)]
SESSION: Turns = [
    (True, request(options=(SessionRequest(), IdempotenceExpenditure(7)))),
    (False, authenticated(WINDOW)),
    (False, operated()),
    (True, GET),
    (False, OK),
]
NEGOTIATION: Turns = [
    (True, request(options=(METHODS,)) + INITIAL),
    (False, DEMAND),
    (True, CREDENTIALS),
    (False, ACCEPTED + authenticated() + operated()),
    (True, GET),
    (False, OK),
]
BIND: Turns = [
    (True, request(Command.BIND)),
    (False, authenticated() + operated()),
    (False, operated() + b"from the peer"),
]
ASSOCIATION: Turns = [
    (True, request(Command.UDP_ASSOCIATE)),
    (False, authenticated() + operated() + udp.encode_udp(udp.AssociationInit(ID))),
    (True, DATAGRAM + DATAGRAM),
    (False, udp.encode_udp(udp.AssociationConfirmation(ID)) + DATAGRAM),
]
CONVERSATIONS: dict[str, Turns] = {
    "false start": FALSE_START, "session": SESSION, "negotiation": NEGOTIATION, "bind": BIND,
    "association": ASSOCIATION,
}  # fmt: skip

NEGOTIATION_04: Turns = [
    (
        True,
        wire04.encode_request(
            messages04.Request(
                Command.CONNECT,
                HOST,
                80,
                len(INITIAL),
                (options04.AuthenticationMethods((AuthenticationMethod.CHAP,)),),
            )
        )
        + INITIAL,
    ),
    (
        False,
        wire04.encode_authentication_reply(
            messages04.AuthenticationReply(
                messages04.AuthenticationType.MORE_NEEDED, AuthenticationMethod.USER_PASSWORD
            )
        ),
    ),
    (True, CREDENTIALS),
    (
        False,
        ACCEPTED
        + wire04.encode_authentication_reply(messages04.AuthenticationReply(messages04.AuthenticationType.SUCCESS))
        + wire04.encode_operation_reply(messages04.OperationReply(ReplyCode.SUCCEEDED, BOUND, 4000, len(INITIAL)))
        + OK,
    ),
]


def play(connection: Connection, turns: Turns, cut: dict[int, tuple[bytes, ...]] | None = None) -> Connection:
    """The conversation, a segment each turn, but for those that are cut into several."""
    for number, (from_client, octets) in enumerate(turns):
        pieces = (cut or {}).get(number, (octets,))
        (connection.client if from_client else connection.server)(*pieces)
    return connection
