"""The server's side: what it refuses, of its peer and of its caller, and how little it keeps."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Callable

import pytest

from codec import rfc1929, socks4, socks5
from codec.address import Address
from codec.command import Command
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError, VersionMismatchError
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.server import ServerConnection, State
from codec.socks6 import messages, options, stack, udp, wire
from codec.socks6.dialect import DRAFT_04, DRAFT_11, Draft04, Draft11
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import wire as wire04

HOST = Address.of("192.0.2.1")
IPV6 = Address.of("2001:db8::1")
DATA = b"GET / HTTP/1.1\r\n\r\n"
GREETING = b"\x05\x02\x00\x02"
CREDENTIALS = b"\x01\x05alice\x06sesame"
INITIAL_DATA = options.LARGEST_INITIAL_DATA
ADVERTISEMENT = options.AuthenticationMethodAdvertisement(INITIAL_DATA, (AuthenticationMethod.USER_PASSWORD,))
CONNECT4 = socks4.encode_request(socks4.Request(Command.CONNECT, HOST, 80))
CONNECT5 = socks5.encode_request(socks5.Request(Command.CONNECT, HOST, 80))
CONNECT6 = wire.encode_request(messages.Request(Command.CONNECT, HOST, 80))
NEGOTIABLE6 = wire.encode_request(messages.Request(Command.CONNECT, HOST, 80, (ADVERTISEMENT,)))
ASSOCIATE6 = wire.encode_request(messages.Request(Command.UDP_ASSOCIATE, HOST, 0))
CONNECT_04 = wire04.encode_request(messages04.Request(Command.CONNECT, HOST, 80, 0xFFFF))
NONE, USER_PASSWORD = AuthenticationMethod.NONE, AuthenticationMethod.USER_PASSWORD
NONE_ACCEPTABLE = AuthenticationMethod.NONE_ACCEPTABLE
DATAGRAM = udp.Datagram(bytes(8), HOST, 53, b"question")


def having_received(*pieces: bytes, dialects: dict[int, Draft11 | Draft04] | None = None) -> ServerConnection:
    server = ServerConnection(dialects or {6: DRAFT_11})
    for piece in pieces:
        assert server.receive(piece) is not NEED_DATA
    return server


def greeted(method: AuthenticationMethod) -> ServerConnection:
    server = having_received(GREETING)
    server.send_method(method)
    return server


def with_credentials() -> ServerConnection:
    server = greeted(USER_PASSWORD)
    assert server.receive(CREDENTIALS) == rfc1929.UserPassword(b"alice", b"sesame")
    return server


def negotiating(data: bytes = b"") -> ServerConnection:
    server = having_received(NEGOTIABLE6 + data)
    server.send_method(USER_PASSWORD)
    return server


def negotiating_04() -> ServerConnection:
    server = having_received(CONNECT_04, dialects={6: DRAFT_04})
    server.send_method(USER_PASSWORD)
    return server


def with_late_credentials() -> ServerConnection:
    server = negotiating()
    server.receive(bytes(INITIAL_DATA) + CREDENTIALS)
    return server


def associated() -> ServerConnection:
    server = having_received(ASSOCIATE6)
    server.send_reply(ReplyCode.SUCCEEDED)
    return server


def waiting_for_socks5_request() -> ServerConnection:
    return greeted(NONE)


def having_replied() -> ServerConnection:
    server = having_received(CONNECT6)
    server.send_reply(ReplyCode.SUCCEEDED)
    return server


def authenticated6() -> ServerConnection:
    server = having_received(CONNECT6)
    server.send_authentication(success=True)
    return server


STATES: dict[State, Callable[[], ServerConnection]] = {
    State.FIRST_OCTET: ServerConnection,
    State.METHOD_CHOICE: lambda: having_received(GREETING),
    State.CREDENTIALS: lambda: greeted(USER_PASSWORD),
    State.VERDICT: with_credentials,
    State.SOCKS5_REQUEST: waiting_for_socks5_request,
    State.SOCKS4_REPLY: lambda: having_received(CONNECT4),
    State.SOCKS6_REPLY: lambda: having_received(NEGOTIABLE6),
    State.LATE_CREDENTIALS: negotiating,
    State.LATE_VERDICT: with_late_credentials,
    State.OPERATION_REPLY: authenticated6,
    State.DATAGRAMS: associated,
    State.REPLIED: having_replied,
    State.BROKEN: lambda: greeted(NONE_ACCEPTABLE),
}
"""A connection in every state that a caller meets, but those in the middle of a message."""

CALLS: dict[str, tuple[Callable[[ServerConnection], object], frozenset[State]]] = {
    "receive": (
        lambda server: server.receive(b""),
        frozenset({
            State.FIRST_OCTET, State.CREDENTIALS, State.SOCKS5_REQUEST, State.LATE_CREDENTIALS, State.DATAGRAMS,
        }),
    ),
    "choose none": (lambda server: server.send_method(NONE), frozenset({State.METHOD_CHOICE})),
    "demand a password": (
        lambda server: server.send_method(USER_PASSWORD), frozenset({State.METHOD_CHOICE, State.SOCKS6_REPLY}),
    ),
    "accept none": (
        lambda server: server.send_method(NONE_ACCEPTABLE), frozenset({State.METHOD_CHOICE, State.SOCKS6_REPLY}),
    ),
    "demand what it cannot negotiate": (lambda server: server.send_method(AuthenticationMethod.GSSAPI), frozenset()),
    "authenticate": (
        lambda server: server.send_authentication(success=True),
        frozenset({State.VERDICT, State.SOCKS6_REPLY, State.LATE_VERDICT}),
    ),
    "reply": (
        lambda server: server.send_reply(ReplyCode.SUCCEEDED),
        frozenset({State.SOCKS4_REPLY, State.SOCKS6_REPLY, State.OPERATION_REPLY}),
    ),
    "send a datagram": (lambda server: server.send_udp(DATAGRAM), frozenset({State.DATAGRAMS})),
    "take leftovers": (
        lambda server: server.leftover(),
        frozenset({State.SOCKS4_REPLY, State.SOCKS6_REPLY, State.OPERATION_REPLY, State.REPLIED}),
    ),
}  # fmt: skip
"""What a caller may do, and in which of those states."""


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("state", STATES)
def test_a_call_out_of_turn_is_refused_and_changes_nothing(state: State, call: str) -> None:
    server = STATES[state]()
    assert server.state is state
    make_call, right_states = CALLS[call]
    if state in right_states:
        make_call(server)
    else:
        with pytest.raises(LocalProtocolError):
            make_call(server)
        assert server.state is state


@pytest.mark.parametrize("state", [State.SOCKS4_REPLY, State.SOCKS6_REPLY, State.OPERATION_REPLY])
def test_a_reply_that_cannot_be_sent_leaves_the_chance_for_another(state: State) -> None:
    server = STATES[state]()
    with pytest.raises(LocalProtocolError):
        server.send_reply(ReplyCode.SUCCEEDED, HOST, 65536)
    assert server.state is state
    server.send_reply(ReplyCode.GENERAL_FAILURE)
    assert server.state is State.REPLIED


def test_options_that_do_not_belong_in_a_reply_are_refused() -> None:
    server = having_received(CONNECT6)
    with pytest.raises(LocalProtocolError, match="SessionRequest"):
        server.send_authentication(True, (options.SessionRequest(),))
    with pytest.raises(LocalProtocolError, match="SessionOk"):
        server.send_reply(ReplyCode.SUCCEEDED, options=(options.SessionOk(),))
    assert server.state is State.SOCKS6_REPLY


def test_leftovers_are_handed_over_once() -> None:
    server = having_received(CONNECT6 + DATA)
    assert server.leftover() == DATA
    assert server.leftover() == b""


def test_initial_data_in_front_of_a_negotiation_and_what_is_behind_it_are_handed_over_once() -> None:
    initial = bytes(INITIAL_DATA)
    server = negotiating(initial[:100])
    assert server.receive(initial[100:] + CREDENTIALS + DATA) == rfc1929.UserPassword(b"alice", b"sesame")
    server.send_authentication(success=True)
    assert server.leftover() == initial + DATA
    assert server.leftover() == b""


def test_no_method_is_negotiated_once_the_initial_data_are_with_the_caller() -> None:
    server = having_received(NEGOTIABLE6 + DATA)
    assert server.leftover() == DATA
    with pytest.raises(LocalProtocolError):
        server.send_method(USER_PASSWORD)
    assert server.send_reply(ReplyCode.SUCCEEDED)[:4] == b"\x06\0\0\0"


def test_initial_data_of_other_commands_than_connect_are_not_waited_for() -> None:
    server = having_received(wire.encode_request(messages.Request(Command.BIND, HOST, 80, (ADVERTISEMENT,))))
    server.send_method(USER_PASSWORD)
    assert server.receive(CREDENTIALS) == rfc1929.UserPassword(b"alice", b"sesame")


def test_a_socks6_answer_is_one_piece_with_the_authentication_reply_in_front() -> None:
    multipath = stack.Multipath(stack.Leg.PROXY_REMOTE, wanted=True)
    answer = having_received(CONNECT6).send_reply(ReplyCode.SUCCEEDED, HOST, 4000, (multipath,))
    reply = messages.OperationReply(ReplyCode.SUCCEEDED, HOST, 4000, (multipath,))
    assert answer == b"\x06\0\0\0" + wire.encode_operation_reply(reply)


def test_a_socks4_reply_names_no_address_but_ipv4() -> None:
    server = having_received(CONNECT4)
    assert server.send_reply(ReplyCode.SUCCEEDED, IPV6, 4000) == bytes.fromhex("005a0fa000000000")


@pytest.mark.parametrize(
    ("octets", "guess"), [(b"GET / HTTP/1.1", "HTTP"), (b"\x16\x03\x01", "TLS"), (b"\xcf", "octet 207$"), (b"\0", "0$")]
)
def test_other_protocols_are_named_and_answered_with_a_version_mismatch(octets: bytes, guess: str) -> None:
    server = ServerConnection()
    with pytest.raises(VersionMismatchError, match=guess) as caught:
        server.receive(octets)
    assert caught.value.reply == b"\x06"
    assert server.state is State.BROKEN


@pytest.mark.parametrize(
    ("dialects", "octets", "reply"),
    [
        ({0xCF: Draft11(0xCF)}, b"\x06", b"\xcf"),
        ({6: DRAFT_04}, b"\x07", b"\x06\0"),
        ({6: DRAFT_04}, b"\x06\x01", b"\x06\0"),
        ({0xD4: Draft11(0xD4), 6: DRAFT_11}, b"\x07", b"\xd4"),
        ({}, b"\x06", b"\x06"),
    ],
)
def test_the_mismatch_is_that_of_the_first_dialect_spoken(
    dialects: dict[int, Draft11 | Draft04], octets: bytes, reply: bytes
) -> None:
    with pytest.raises(VersionMismatchError) as caught:
        ServerConnection(dialects).receive(octets)
    assert caught.value.reply == reply


def test_a_listener_without_socks6_serves_the_older_versions() -> None:
    server = ServerConnection({})
    assert server.receive(GREETING) == socks5.Greeting(b"\0\x02")


@pytest.mark.parametrize(
    ("server", "octets", "reply"),
    [
        (ServerConnection, CONNECT4[:8] + b"u" * 256, socks4.refusal()),
        (lambda: greeted(USER_PASSWORD), b"\x05", b"\x01\x01"),
        (waiting_for_socks5_request, b"\x05\x01\x00\x02", socks5.encode_reply(socks5.Reply(ReplyCode(8)))),
        (ServerConnection, b"\x06\x01\0\0\0\x50\0\x02", wire.refusal(ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED)),
        (negotiating, bytes(INITIAL_DATA) + b"\x02", b"\x01\x01" + b"\x06\x01\0\0"),
        (negotiating_04, bytes(0xFFFF) + b"\x02", b"\x01\x01" + b"\x06\0\x01\xff\0"),
        (associated, udp.encode_udp(udp.AssociationInit(bytes(8))), b""),
        (associated, b"\x05", b""),
    ],
)  # fmt: skip
def test_a_malformed_message_is_answered_and_ends_it(
    server: Callable[[], ServerConnection], octets: bytes, reply: bytes
) -> None:
    connection = server()
    with pytest.raises(RemoteProtocolError) as caught:
        connection.receive(octets)
    assert caught.value.reply == reply
    assert connection.state is State.BROKEN
    with pytest.raises(LocalProtocolError):
        connection.receive(octets)


BOUNDS: list[tuple[Callable[[], ServerConnection], bytes, int]] = [
    (ServerConnection, b"\x05\xff", 2 + 255),
    (ServerConnection, CONNECT4[:4] + b"\0\0\0\1" + b"u" * 255 + b"\0", 8 + 256 + 256),
    (ServerConnection, b"\x06\x01\x40\0\0\x50\0\x03\xff", 8 + 256 + 16384),
    (lambda: ServerConnection({6: DRAFT_04}), b"\x06\0\x01\0\0\0\x50\x03\xff" + b"n" * 255 + b"\xff", 9 + 256 + 65026),
    (lambda: greeted(USER_PASSWORD), b"\x01\xff", 3 + 2 * 255),
    (waiting_for_socks5_request, b"\x05\x01\0\x03\xff", 4 + 256 + 2),
    (negotiating, b"", 16384 + 3 + 2 * 255),
    (negotiating_04, b"", 65535 + 3 + 2 * 255),
    (associated, b"\x06\x03\xff\xff", 65535),
]
"""A receiving connection, how the longest message starts, and how many octets it may keep waiting for more."""


@pytest.mark.parametrize(("server", "start", "bound"), BOUNDS)
@pytest.mark.parametrize("octet", [0, 1, 3, 6, 0x41, 0xFF])
def test_no_peer_can_make_it_keep_more_than_a_message(
    server: Callable[[], ServerConnection], start: bytes, bound: int, octet: int
) -> None:
    stream = start + bytes((octet,)) * bound
    with contextlib.suppress(RemoteProtocolError):
        assert server().receive(stream[:bound]) is not NEED_DATA


def test_a_long_association_takes_no_more_memory_than_a_short_one() -> None:
    server = associated()
    stream = udp.encode_udp(udp.Datagram(bytes(8), HOST, 53, bytes(60_000))) + udp.encode_udp(DATAGRAM) * 100
    pieces = [stream[start : start + 4096] for start in range(0, len(stream), 4096)]
    taken = 0
    tracemalloc.start()
    for piece in pieces * 50:
        event = server.receive(piece)
        while event is not NEED_DATA:
            taken += 1
            event = server.receive(b"")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken == 50 * 101
    assert peak < 4 * udp.LARGEST_MESSAGE


def test_the_dialect_is_the_one_that_the_first_octet_means() -> None:
    spoken = {6: Draft11(6), 0xCF: Draft11(0xCF)}
    server = ServerConnection(spoken)
    server.receive(b"\xcf")
    assert server.dialect is spoken[0xCF]
