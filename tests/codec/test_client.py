"""The client's side: what it makes of refusals, ends and nonsense."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from codec import socks4, socks5
from codec.address import Address
from codec.client import ClientConnection, Socks4Client, Socks5Client, Socks6Client
from codec.command import Command
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError, VersionMismatchError
from codec.reply import ReplyCode
from codec.rfc1929 import UserPassword, UserPasswordStatus
from codec.socks6 import messages, udp, wire
from codec.socks6.dialect import DRAFT_04, DRAFT_11, Dialect, Draft11
from codec.socks6.draft04 import messages as messages04

HOST = Address.of("192.0.2.1")
ALICE = UserPassword(b"alice", b"sesame")
CONNECT4 = socks4.Request(Command.CONNECT, HOST, 80)
CONNECT5 = socks5.Request(Command.CONNECT, HOST, 80)
CONNECT6 = messages.Request(Command.CONNECT, HOST, 80)
ASSOCIATE6 = messages.Request(Command.UDP_ASSOCIATE, HOST, 0)
REPLY4 = socks4.Reply(socks4.ResultCode.GRANTED, HOST, 4000)
REPLY5 = socks5.Reply(ReplyCode.SUCCEEDED, HOST, 4000)
REPLY6 = messages.OperationReply(ReplyCode.SUCCEEDED, HOST, 4000)
AUTHENTICATED, REFUSED = b"\x06\0\0\0", b"\x06\x01\0\0"
PASSWORD_DEMANDED = bytes.fromhex("06010008" + "0003000802000000")
DATAGRAM = udp.Datagram(bytes(8), HOST, 53, b"question")

CLIENTS: dict[str, tuple[Callable[[], ClientConnection], bytes, object]] = {
    "socks4": (lambda: Socks4Client(CONNECT4), socks4.encode_reply(REPLY4), REPLY4),
    "socks5": (lambda: Socks5Client(CONNECT5), b"\x05\0" + socks5.encode_reply(REPLY5), REPLY5),
    "socks5-password": (
        lambda: Socks5Client(CONNECT5, ALICE), b"\x05\x02" + b"\x01\0" + socks5.encode_reply(REPLY5), REPLY5,
    ),
    "socks6": (lambda: Socks6Client(CONNECT6), AUTHENTICATED + wire.encode_operation_reply(REPLY6), REPLY6),
    "socks6-password": (
        lambda: Socks6Client(CONNECT6, ALICE),
        PASSWORD_DEMANDED + b"\x01\0" + AUTHENTICATED + wire.encode_operation_reply(REPLY6),
        REPLY6,
    ),
}  # fmt: skip
"""A client, what its proxy sends, and the reply in that."""
EVERY_CLIENT = pytest.mark.parametrize(("client", "stream", "reply"), CLIENTS.values(), ids=CLIENTS)


@EVERY_CLIENT
def test_who_only_asks_for_the_reply_gets_it_at_every_split(
    client: Callable[[], ClientConnection], stream: bytes, reply: object
) -> None:
    for cut in range(len(stream)):
        connection = client()
        assert connection.receive_reply(stream[:cut]) is NEED_DATA
        assert connection.receive_reply(stream[cut:] + b"data") == reply
        assert connection.leftover() == b"data"
        assert connection.leftover() == b""


@EVERY_CLIENT
def test_an_end_before_the_reply_is_an_error_and_no_data(
    client: Callable[[], ClientConnection], stream: bytes, reply: object
) -> None:
    for cut in range(len(stream)):
        connection = client()
        connection.receive_reply(stream[:cut])
        with pytest.raises(RemoteProtocolError, match=r"closed|version"):
            connection.receive_end()
        with pytest.raises(LocalProtocolError, match="not data"):
            connection.leftover()


@EVERY_CLIENT
def test_nothing_is_received_behind_the_reply(
    client: Callable[[], ClientConnection], stream: bytes, reply: object
) -> None:
    connection = client()
    connection.receive_reply(stream)
    with pytest.raises(LocalProtocolError, match="no further message"):
        connection.receive(b"data")
    assert connection.leftover() == b""


@EVERY_CLIENT
def test_after_a_malformed_message_nothing_is_received_and_nothing_is_data(
    client: Callable[[], ClientConnection], stream: bytes, reply: object
) -> None:
    connection = client()
    with pytest.raises(RemoteProtocolError):
        connection.receive(b"\x07\x07" + stream)
    with pytest.raises(LocalProtocolError):
        connection.receive(stream)
    with pytest.raises(LocalProtocolError):
        connection.leftover()


@pytest.mark.parametrize(
    ("client", "refusal"),
    [
        (Socks5Client(CONNECT5), b"\x05\xff"),
        (Socks5Client(CONNECT5, ALICE), b"\x05\x02\x01\x01"),
        (Socks6Client(CONNECT6), REFUSED),
        (Socks6Client(CONNECT6), PASSWORD_DEMANDED),
        (Socks6Client(CONNECT6, ALICE), PASSWORD_DEMANDED + b"\x01\x01" + REFUSED),
        (Socks6Client(CONNECT6, ALICE), PASSWORD_DEMANDED + b"\x01\x01" + PASSWORD_DEMANDED),
        (Socks6Client(messages04.Request(Command.CONNECT, HOST, 80), spoken=DRAFT_04), b"\x06\0\x01\xff\0"),
    ],
)
def test_who_only_asks_for_the_reply_gets_a_refused_authentication_as_an_error(
    client: ClientConnection, refusal: bytes
) -> None:
    with pytest.raises(RemoteProtocolError, match="refuses to authenticate"):
        client.receive_reply(refusal)


@pytest.mark.parametrize("credentials", [None, ALICE])
@pytest.mark.parametrize("method", [1, 2, 0x80])
def test_a_socks5_proxy_must_choose_a_method_that_was_offered(credentials: UserPassword | None, method: int) -> None:
    client = Socks5Client(CONNECT5, credentials)
    if method == 2 and credentials:
        assert client.receive(b"\x05\x02") is NEED_DATA
    else:
        with pytest.raises(RemoteProtocolError, match="not offered"):
            client.receive(bytes((5, method)))


def test_what_is_to_be_sent_is_told_once() -> None:
    client = Socks5Client(CONNECT5, ALICE)
    assert client.open() == b"\x05\x02\x00\x02"
    assert client.outgoing() == b""
    assert client.receive(b"\x05\x02") is NEED_DATA
    assert client.outgoing() == b"\x01\x05alice\x06sesame"
    assert client.outgoing() == b""
    assert client.receive(b"\x01\0") is NEED_DATA
    assert client.outgoing() == socks5.encode_request(CONNECT5)


def test_after_a_wrong_password_no_request_is_sent() -> None:
    client = Socks5Client(CONNECT5, ALICE)
    client.receive(b"\x05\x02")
    client.outgoing()
    assert client.receive(b"\x01\x01") == UserPasswordStatus(success=False)
    assert client.outgoing() == b""


@pytest.mark.parametrize(
    ("spoken", "request_", "mismatch"),
    [
        (DRAFT_11, CONNECT6, b"\x06"),
        (Draft11(0xCF), CONNECT6, b"\xcf"),
        (DRAFT_04, messages04.Request(Command.CONNECT, HOST, 80), b"\x06\0"),
    ],
)
def test_a_version_mismatch_reply_is_told_by_the_end_behind_it(
    spoken: Dialect, request_: messages.Request | messages04.Request, mismatch: bytes
) -> None:
    client = Socks6Client(request_, spoken=spoken)
    assert client.receive(mismatch) is NEED_DATA
    with pytest.raises(VersionMismatchError):
        client.receive_end()


def test_a_lone_version_octet_behind_an_authentication_reply_is_no_mismatch() -> None:
    client = Socks6Client(CONNECT6)
    client.receive_reply(AUTHENTICATED + b"\x06")
    with pytest.raises(RemoteProtocolError, match="closed") as caught:
        client.receive_end()
    assert not isinstance(caught.value, VersionMismatchError)


def test_a_proxy_of_another_version_is_told_by_its_first_octet() -> None:
    with pytest.raises(VersionMismatchError):
        Socks6Client(CONNECT6).receive(b"\x05")


@pytest.mark.parametrize(
    ("spoken", "request_", "reply"),
    [
        (DRAFT_11, CONNECT6, "06 00 0008" + "0003 0008 02000000"),
        (DRAFT_04, messages04.Request(Command.CONNECT, HOST, 80), "0600 00 02 00"),
    ],
)
def test_a_method_named_beside_a_success_is_not_negotiated(
    spoken: Dialect, request_: messages.Request | messages04.Request, reply: str
) -> None:
    client = Socks6Client(request_, ALICE, spoken)
    assert client.receive(bytes.fromhex(reply)) is not NEED_DATA
    assert client.outgoing() == b""


def test_datagrams_are_sent_in_an_association_only() -> None:
    client = Socks6Client(ASSOCIATE6)
    with pytest.raises(LocalProtocolError):
        client.send_udp(DATAGRAM)
    client.receive_reply(AUTHENTICATED)
    with pytest.raises(LocalProtocolError):
        client.send_udp(DATAGRAM)
    assert client.receive_reply(wire.encode_operation_reply(REPLY6)) == REPLY6
    assert client.send_udp(DATAGRAM) == udp.encode_udp(DATAGRAM)
    with pytest.raises(LocalProtocolError, match="not data"):
        client.leftover()


def test_requests_of_one_draft_are_not_sent_in_the_other() -> None:
    with pytest.raises(LocalProtocolError, match="draft-11"):
        Socks6Client(CONNECT6, spoken=DRAFT_04).open()
    with pytest.raises(LocalProtocolError, match="draft-04"):
        Socks6Client(messages04.Request(Command.CONNECT, HOST, 80)).open()


REQUEST_04 = messages04.Request(Command.CONNECT, HOST, 80)
BOUNDS: list[tuple[Callable[[], ClientConnection], bytes, bytes, int]] = [
    (lambda: Socks4Client(CONNECT4), b"", b"", 8),
    (lambda: Socks5Client(CONNECT5), b"", b"\x05", 2 + 262),
    (lambda: Socks5Client(CONNECT5, ALICE), b"\x05\x02", b"\x01", 2 + 262),
    (lambda: Socks5Client(CONNECT5), b"\x05\0", b"\x05\0\0\x03\xff", 262),
    (lambda: Socks6Client(CONNECT6), b"", b"\x06\0\x40\0", 4 + 16384),
    (lambda: Socks6Client(CONNECT6, ALICE), PASSWORD_DEMANDED, b"\x01", 2 + 4 + 16384),
    (lambda: Socks6Client(CONNECT6), AUTHENTICATED, b"\x06\0\x40\0\0\x50\0\x03\xff", 8 + 256 + 16384),
    (lambda: Socks6Client(ASSOCIATE6), AUTHENTICATED + wire.encode_operation_reply(REPLY6), b"\x06\x03\xff\xff", 65535),
    (lambda: Socks6Client(REQUEST_04, spoken=DRAFT_04), b"", b"\x06\0\0\0\xff", 5 + 255 * 255),
    (
        lambda: Socks6Client(REQUEST_04, spoken=DRAFT_04),
        b"\x06\0\0\0\0",
        b"\0\0\0\0\0\x03\xff",
        6 + 256 + 1 + 255 * 255,
    ),
]
"""A client, what it has received, how the longest message goes on, and how many octets may wait for more."""


@pytest.mark.parametrize(("client", "received", "start", "bound"), BOUNDS)
@pytest.mark.parametrize("octet", [0, 1, 6, 0x41, 0xFF])
def test_no_proxy_can_make_it_keep_more_than_a_message(
    client: Callable[[], ClientConnection], received: bytes, start: bytes, bound: int, octet: int
) -> None:
    connection = client()
    while connection.receive(received) is not NEED_DATA:
        received = b""
    stream = start + bytes((octet,)) * bound
    with contextlib.suppress(RemoteProtocolError):
        assert connection.receive(stream[:bound]) is not NEED_DATA
