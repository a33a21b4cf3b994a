"""MPTCP: used where it can be, and told truthfully."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from codec.reply import ReplyCode
from codec.socks6.messages import OperationReply
from codec.socks6.option_list import Options
from codec.socks6.stack import Leg, Multipath
from proxy.mptcp import is_multipath
from tests.proxy.peers import receive_exactly, serving, socks5_request, socks6_request, tunnel
from tests.proxy.running import ONE_WORKER, RunningProxy

DESIRED = Multipath(Leg.PROXY_REMOTE, wanted=True)
NOT_DESIRED = Multipath(Leg.PROXY_REMOTE, wanted=False)


def tell_protocol(connection: socket.socket) -> None:
    """A server that says whether it was reached over MPTCP, as its own kernel has it."""
    connection.sendall(b"M" if is_multipath(connection) else b"T")
    with suppress(ConnectionResetError):
        connection.recv(1)


@pytest.fixture(scope="module")
def mptcp_port() -> Iterator[int]:
    with serving(tell_protocol, multipath=True) as port:
        yield port


@pytest.fixture(scope="module")
def tcp_port() -> Iterator[int]:
    with serving(tell_protocol) as port:
        yield port


def through(proxy: RunningProxy, port: int, options: Options = ()) -> tuple[bytes, Options, bool]:
    """What the server saw, what the proxy answered, what the proxy logged."""
    with tunnel(proxy.address, socks6_request("127.0.0.1", port, options)) as t:
        assert isinstance(t.reply, OperationReply)
        assert t.code is ReplyCode.SUCCEEDED
        seen = t.early or receive_exactly(t.socket, 1)
        local = t.socket.getsockname()
    return seen, t.reply.options, proxy.connection(client=f"127.0.0.1:{local[1]}")["mptcp"]


def test_outward_connections_are_multipath(proxy: RunningProxy, mptcp_port: int) -> None:
    assert through(proxy, mptcp_port) == (b"M", (), True)


def test_a_server_without_multipath_is_reached_and_the_truth_told(proxy: RunningProxy, tcp_port: int) -> None:
    assert through(proxy, tcp_port, (DESIRED,)) == (b"T", (NOT_DESIRED,), False)


def test_a_client_that_desires_multipath_is_told_that_it_has_it(proxy: RunningProxy, mptcp_port: int) -> None:
    assert through(proxy, mptcp_port, (DESIRED,)) == (b"M", (DESIRED,), True)


def test_a_client_that_does_not_desire_multipath_does_not_get_it(proxy: RunningProxy, mptcp_port: int) -> None:
    assert through(proxy, mptcp_port, (NOT_DESIRED,)) == (b"T", (NOT_DESIRED,), False)


def test_multipath_can_be_switched_off(mptcp_port: int) -> None:
    with RunningProxy(*ONE_WORKER, "--set", "outward.mptcp=false") as proxy:
        assert through(proxy, mptcp_port, (DESIRED,)) == (b"T", (NOT_DESIRED,), False)


PLAIN = ("--set", 'listen=[{address="127.0.0.1:0",mptcp=false}]')


@pytest.mark.parametrize("arguments", [(), PLAIN], ids=["mptcp", "tcp"])
def test_a_client_may_come_over_multipath_unless_the_listener_is_plain(
    arguments: tuple[str, ...], mptcp_port: int
) -> None:
    with (
        RunningProxy(*ONE_WORKER, *arguments) as proxy,
        tunnel(proxy.address, socks5_request("127.0.0.1", mptcp_port), multipath=True) as t,
    ):
        assert t.code is ReplyCode.SUCCEEDED
        assert is_multipath(t.socket) == (not arguments)
