"""The two state machines, driven as a stream would: at every split, and against each other."""

from __future__ import annotations

import pytest

from codec import socks5
from codec.address import Address
from codec.client import ClientConnection, Socks5Client, Socks6Client
from codec.command import Command
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.server import Event, Request, ServerConnection, State
from codec.socks6 import messages as socks6
from codec.socks6 import stack, wire

HOST = Address.of("example.com")
BOUND = Address.of("192.0.2.9")
SOCKS5_REQUEST = socks5.Request(Command.CONNECT, HOST, 80)
SOCKS6_REQUEST = socks6.Request(Command.CONNECT, HOST, 80, (stack.Multipath(stack.Leg.PROXY_REMOTE, wanted=True),))
SOCKS5_OCTETS = b"\x05\x01\x00" + socks5.encode_request(SOCKS5_REQUEST)
SOCKS6_OCTETS = wire.encode_request(SOCKS6_REQUEST)
EARLY = b"GET / HTTP/1.1\r\n"


class Dialogue:
    """A server that chooses no authentication, and what it made of the pieces it was fed."""

    def __init__(self) -> None:
        self.server = ServerConnection()
        self.events: list[Event] = []
        self.early = b""

    def feed(self, piece: bytes) -> None:
        if self.server.state in (State.SOCKS5_REPLY, State.SOCKS6_REPLY):
            self.early += piece
            return
        event = self.server.receive(piece)
        while event is not NEED_DATA:
            self.events.append(event)
            if not isinstance(event, socks5.Greeting):
                self.early += self.server.leftover()
                return
            self.server.send_method(AuthenticationMethod.NONE)
            event = self.server.receive(b"")


STREAMS = pytest.mark.parametrize(
    ("octets", "request_"), [(SOCKS5_OCTETS, SOCKS5_REQUEST), (SOCKS6_OCTETS, SOCKS6_REQUEST)], ids=["socks5", "socks6"]
)


@STREAMS
def test_the_server_reads_the_same_at_every_split_and_hands_over_early_data(octets: bytes, request_: Request) -> None:
    stream = octets + EARLY
    for split in range(len(stream) + 1):
        dialogue = Dialogue()
        dialogue.feed(stream[:split])
        dialogue.feed(stream[split:])
        assert dialogue.events[-1] == request_
        assert dialogue.early == EARLY


@STREAMS
def test_the_server_reads_single_octets(octets: bytes, request_: Request) -> None:
    dialogue = Dialogue()
    for octet in octets:
        assert dialogue.events[-1:] != [request_]
        dialogue.feed(bytes((octet,)))
    assert dialogue.events[-1] == request_


@STREAMS
def test_leftovers_are_handed_over_once(octets: bytes, request_: Request) -> None:
    server = Dialogue()
    server.feed(octets[:-1])
    server.server.receive(octets[-1:] + EARLY)
    assert server.server.leftover() == EARLY
    assert server.server.leftover() == b""


def connect(client: ClientConnection, code: ReplyCode, split: int) -> tuple[object, bytes]:
    """Run a client against a server; the answer reaches the client in two pieces."""
    server = ServerConnection()
    event = server.receive(client.open())
    if isinstance(event, socks5.Greeting):
        assert client.receive(server.send_method(AuthenticationMethod.NONE)) is NEED_DATA
        server.receive(client.outgoing())
        assert client.outgoing() == b""
    answer = server.send_reply(code, BOUND, 4000) + EARLY
    reply = client.receive(answer[:split])
    if reply is NEED_DATA:
        return client.receive(answer[split:]), client.leftover()
    return reply, client.leftover() + answer[split:]


@pytest.mark.parametrize("split", range(34))
def test_a_client_and_a_server_understand_each_other(split: int) -> None:
    outcome5 = socks5.Reply(ReplyCode.SUCCEEDED, BOUND, 4000)
    assert connect(Socks5Client(SOCKS5_REQUEST), ReplyCode.SUCCEEDED, split) == (outcome5, EARLY)
    outcome6 = socks6.OperationReply(ReplyCode.TIMED_OUT, BOUND, 4000)
    assert connect(Socks6Client(SOCKS6_REQUEST), ReplyCode.TIMED_OUT, split) == (outcome6, EARLY)


def test_a_socks6_answer_is_one_piece_with_the_authentication_reply_in_front() -> None:
    server = ServerConnection()
    server.receive(SOCKS6_OCTETS)
    answer = server.send_reply(ReplyCode.SUCCEEDED, BOUND, 4000, SOCKS6_REQUEST.options)
    assert answer[:4] == b"\x06\x00\x00\x00"
    assert wire.decode_operation_reply(answer[4:]) == (
        socks6.OperationReply(ReplyCode.SUCCEEDED, BOUND, 4000, SOCKS6_REQUEST.options),
        len(answer) - 4,
    )


@pytest.mark.parametrize(("octets", "guess"), [(b"GET / HTTP/1.1", "HTTP"), (b"\x16\x03\x01", "TLS"), (b"\x04", "4")])
def test_other_protocols_are_named_and_answered_with_a_version_mismatch(octets: bytes, guess: str) -> None:
    server = ServerConnection()
    with pytest.raises(RemoteProtocolError, match=guess) as caught:
        server.receive(octets)
    assert caught.value.reply == b"\x06"
    with pytest.raises(LocalProtocolError):
        server.receive(SOCKS6_OCTETS)


def test_the_server_refuses_to_answer_out_of_turn() -> None:
    server = ServerConnection()
    with pytest.raises(LocalProtocolError):
        server.send_method(AuthenticationMethod.NONE)
    with pytest.raises(LocalProtocolError):
        server.send_reply(ReplyCode.SUCCEEDED)
    with pytest.raises(LocalProtocolError):
        server.leftover()
    server.receive(SOCKS6_OCTETS)
    server.send_reply(ReplyCode.SUCCEEDED)
    with pytest.raises(LocalProtocolError):
        server.send_reply(ReplyCode.SUCCEEDED)


def test_nothing_follows_when_no_method_is_acceptable() -> None:
    server = ServerConnection()
    assert server.receive(b"\x05\x01\x02") == socks5.Greeting(b"\x02")
    assert server.send_method(AuthenticationMethod.NONE_ACCEPTABLE) == b"\x05\xff"
    with pytest.raises(LocalProtocolError):
        server.receive(b"")


def test_a_lone_version_octet_before_the_end_is_a_version_mismatch() -> None:
    client = Socks6Client(SOCKS6_REQUEST)
    assert client.receive(b"\x06") is NEED_DATA
    with pytest.raises(RemoteProtocolError, match="version"):
        client.receive_end()


@pytest.mark.parametrize("client", [Socks5Client(SOCKS5_REQUEST), Socks6Client(SOCKS6_REQUEST)])
def test_an_end_before_the_reply_is_an_error(client: ClientConnection) -> None:
    with pytest.raises(RemoteProtocolError, match="closed"):
        client.receive_end()
    with pytest.raises(LocalProtocolError):
        client.leftover()


def test_a_proxy_that_demands_authentication_is_an_error() -> None:
    with pytest.raises(RemoteProtocolError, match="authentication"):
        Socks5Client(SOCKS5_REQUEST).receive(b"\x05\xff")
    with pytest.raises(RemoteProtocolError, match="authentication"):
        Socks6Client(SOCKS6_REQUEST).receive(b"\x06\x01\x00\x00")
