"""A client that made a false start is told of its connection along with what the remote host has answered by then."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from select import EPOLLIN
from typing import Any

import pytest

from codec.reply import ReplyCode
from proxy.answer import FIRST_OCTETS, Answer
from proxy.relay import Flow
from tests.proxy.peers import receive_all, receive_exactly, reset, serving, socks6_request
from tests.proxy.running import RunningProxy

CONNECTIONS = 40
"""Whether the remote host answers before or after the client is told is a race: both happen among so many."""


@dataclass
class Side:
    """Notes what a session and its front are told."""

    told: list[bytes] = field(default_factory=list)
    """What went along with the reply."""
    broke: list[int | None] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    is_over: bool = False
    is_there: bool = True
    """Whether the client can be told anything."""

    def connected(self, _remote: socket.socket, _answers: object, behind: bytes) -> bool:
        self.told.append(behind)
        return self.is_there

    def broken(self, _sock: socket.socket, error: int | None) -> None:
        self.broke.append(error)

    def end(self, reason: str, **_how: bool) -> None:
        self.ended.append(reason)


@dataclass
class Tunnel:
    """Real sockets, and an answer that is due."""

    remote: socket.socket
    client: socket.socket
    side: Side
    down: Flow
    answer: Answer


@pytest.fixture
def tunnel_() -> Iterator[Tunnel]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        remote = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    inner, client = socket.socketpair()
    side: Any = Side()
    down = Flow(side, ours, inner)
    with remote, ours, inner, client:
        yield Tunnel(remote, client, side, down, Answer(side, down, (), EPOLLIN))


def test_what_the_remote_host_has_sent_goes_along(tunnel_: Tunnel) -> None:
    tunnel_.remote.sendall(b"hello")
    tunnel_.answer.ready(0)
    assert tunnel_.side.told == [b"hello"]
    assert tunnel_.down.octets == 5


def test_what_does_not_go_along_follows(tunnel_: Tunnel) -> None:
    sent = bytes(range(256)) * 12
    tunnel_.remote.sendall(sent)
    tunnel_.answer.ready(0)
    assert tunnel_.side.told == [sent[:FIRST_OCTETS]]
    assert tunnel_.client.recv(len(sent)) == sent[FIRST_OCTETS:]
    assert tunnel_.down.octets == len(sent)


def test_a_remote_host_that_is_silent_does_not_hold_the_reply_up(tunnel_: Tunnel) -> None:
    tunnel_.answer.ready(0)
    assert tunnel_.side.told == [b""]


def test_a_reset_is_passed_on_behind_the_reply(tunnel_: Tunnel) -> None:
    reset(tunnel_.remote)
    tunnel_.answer.ready(0)
    assert tunnel_.side.told == [b""]
    assert tunnel_.side.broke == [errno.ECONNRESET]


def test_a_client_that_has_gone_ends_the_session(tunnel_: Tunnel) -> None:
    tunnel_.side.is_there = False
    tunnel_.remote.sendall(b"hello")
    tunnel_.answer.ready(0)
    assert tunnel_.side.ended == ["client reset"]


def test_a_session_that_is_over_says_nothing_more(tunnel_: Tunnel) -> None:
    tunnel_.side.is_over = True
    tunnel_.answer.ready(0)
    assert tunnel_.side.told == []


@pytest.mark.parametrize("octets", [1, FIRST_OCTETS, FIRST_OCTETS + 1, 1 << 18])
def test_an_answer_stands_behind_the_reply_whole_whenever_it_comes(proxy: RunningProxy, octets: int) -> None:
    answer = bytes(i * 7 & 255 for i in range(octets))

    def answer_and_end(connection: socket.socket) -> None:
        assert receive_exactly(connection, 5) == b"early"
        connection.sendall(answer)

    with serving(answer_and_end) as port:
        for _ in range(CONNECTIONS):
            client = socks6_request("127.0.0.1", port)
            with socket.create_connection(proxy.address) as sock:
                sock.sendall(client.open() + b"early")
                received = receive_all(sock)
            reply = client.receive_reply(received)
            assert reply.code is ReplyCode.SUCCEEDED  # type: ignore[union-attr]
            assert client.leftover() == answer


def test_a_server_that_speaks_first_is_heard_behind_the_reply(proxy: RunningProxy) -> None:
    def greet(connection: socket.socket) -> None:
        connection.sendall(b"220 ready")
        assert receive_exactly(connection, 5) == b"early"

    with serving(greet) as port:
        for _ in range(CONNECTIONS):
            client = socks6_request("127.0.0.1", port)
            with socket.create_connection(proxy.address) as sock:
                sock.sendall(client.open() + b"early")
                client.receive_reply(receive_all(sock))
            assert client.leftover() == b"220 ready"
