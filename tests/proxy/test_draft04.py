"""A CONNECT in the SOCKSv6 of draft-04, at a listener that speaks it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from codec.address import Address
from codec.client import Socks6Client
from codec.command import Command
from codec.reply import ReplyCode
from codec.socks6.dialect import DRAFT_04
from codec.socks6.draft04.messages import AuthenticationReply, AuthenticationType, OperationReply, Request
from codec.socks6.draft04.options import (
    Expenditure,
    IdempotenceExpenditure,
    IdempotenceReply,
    IdempotenceRequest,
)
from codec.socks6.option import Option
from tests.proxy.peers import connected_socket, listening_socket, receive_all
from tests.proxy.running import LOOPBACK, PATIENCE, RunningProxy

LARGEST_INITIAL_DATA = 0xFFFF
TOKEN = IdempotenceExpenditure(7)


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    listen = 'listen=[{address="127.0.0.1:0",draft="04"}]'
    with RunningProxy("serve", "--workers", "1", *LOOPBACK, "--set", listen) as running:
        yield running


@pytest.fixture
def remote() -> Iterator[socket.socket]:
    """A remote host that accepts nobody by itself, so that a test sees who has come, if anybody."""
    with listening_socket() as listener:
        listener.settimeout(PATIENCE)
        yield listener


def client_for(remote: socket.socket, *options: Option, initial: int = 0) -> Socks6Client:
    request = Request(Command.CONNECT, Address.of("127.0.0.1"), remote.getsockname()[1], initial, options)
    return Socks6Client(request, spoken=DRAFT_04)


def replies_to(client: Socks6Client, sock: socket.socket) -> tuple[AuthenticationReply, OperationReply]:
    """Both come in one piece."""
    octets = sock.recv(4096)
    verdict, reply = client.receive(octets), client.receive(b"")
    assert isinstance(verdict, AuthenticationReply)
    assert isinstance(reply, OperationReply)
    return verdict, reply


@pytest.mark.parametrize("size", [0, 1, 5000, LARGEST_INITIAL_DATA])
@pytest.mark.parametrize("at_once", [True, False], ids=["at-once", "half-behind-the-reply"])
def test_initial_data_are_taken_whole_and_all_that_follows_them(
    proxy: RunningProxy, remote: socket.socket, size: int, *, at_once: bool
) -> None:
    data, later = os.urandom(size), os.urandom(3000)
    first = data if at_once else data[: size // 2]
    client = client_for(remote, initial=size)
    with connected_socket(proxy.address) as sock:
        sock.sendall(client.open() + first)
        verdict, reply = replies_to(client, sock)
        assert (verdict.type, verdict.options) == (AuthenticationType.SUCCESS, ())
        assert (reply.code, reply.initial_data_offset) == (ReplyCode.SUCCEEDED, size)
        sock.sendall(data[len(first) :] + later)
        sock.shutdown(socket.SHUT_WR)
        with remote.accept()[0] as connection:
            connection.settimeout(PATIENCE)
            assert receive_all(connection) == data + later
            connection.sendall(b"answer")
        assert client.leftover() + receive_all(sock) == b"answer"
        name = f"127.0.0.1:{sock.getsockname()[1]}"
    assert proxy.connection(client=name)["up"] == size + len(later)


@pytest.mark.parametrize("options", [(TOKEN,), (IdempotenceRequest(16), TOKEN)], ids=["token", "window-and-token"])
def test_a_request_that_spends_a_token_is_not_honoured_as_there_are_no_windows(
    proxy: RunningProxy, remote: socket.socket, options: tuple[Option, ...]
) -> None:
    """Whoever spends one must not be connected twice, and nobody could tell here that it is the first time."""
    client = client_for(remote, *options, initial=5)
    with connected_socket(proxy.address) as sock:
        sock.sendall(client.open() + b"hello")
        verdict, reply = replies_to(client, sock)
        told = (IdempotenceReply(Expenditure.NO_WINDOW),)
        assert (verdict.type, verdict.options) == (AuthenticationType.SUCCESS, told)
        assert (reply.code, reply.options) == (ReplyCode.GENERAL_FAILURE, ())
        assert receive_all(sock) == b""
        name = f"127.0.0.1:{sock.getsockname()[1]}"
    assert proxy.connection(client=name)["end"] == "refused: general failure"
    remote.setblocking(False)
    with pytest.raises(BlockingIOError):
        remote.accept()


def test_a_request_for_a_window_is_passed_over(proxy: RunningProxy, remote: socket.socket) -> None:
    client = client_for(remote, IdempotenceRequest(16))
    with connected_socket(proxy.address) as sock:
        sock.sendall(client.open())
        verdict, reply = replies_to(client, sock)
        assert (verdict.options, reply.code, reply.options) == ((), ReplyCode.SUCCEEDED, ())
