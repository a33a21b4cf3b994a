"""What a kernel counts of MPTCP: read from real connections over loopback, in a namespace."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab.runner import Runner
from tests.conftest import namespace_name
from tests.lab.host_state import wait_until
from tests.lab.testbed.inside import open_socket
from traces.checking.counters import Counters, most_subflows, mptcp_counters, parse_nstat, parse_ss

IPPROTO_MPTCP = 262


def pair(netns: Runner, held: ExitStack, *, server: int = IPPROTO_MPTCP) -> tuple[socket.socket, socket.socket]:
    """An MPTCP client and what a server of that protocol accepts from it."""
    listener = held.enter_context(open_socket(namespace_name(netns), socket.AF_INET, socket.SOCK_STREAM, server))
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    client = held.enter_context(open_socket(namespace_name(netns), socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP))
    client.connect(listener.getsockname())
    accepted, _ = listener.accept()
    return client, held.enter_context(accepted)


def talk(client: socket.socket, server: socket.socket) -> None:
    client.sendall(b"ping")
    assert server.recv(4) == b"ping"
    server.sendall(b"pong")
    assert client.recv(4) == b"pong"


@pytest.fixture
def held() -> Iterator[ExitStack]:
    """Closes sockets at the end."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.netns
class TestOverLoopback:
    def test_an_agreed_connection_is_counted(self, netns: Runner, held: ExitStack) -> None:
        before = mptcp_counters(netns)
        talk(*pair(netns, held))
        assert mptcp_counters(netns) - before == Counters(agreed=1, joined=0, fallbacks=0)
        assert most_subflows(netns) == 1

    def test_a_server_that_speaks_plain_tcp_is_a_fallback(self, netns: Runner, held: ExitStack) -> None:
        talk(*pair(netns, held, server=socket.IPPROTO_TCP))
        counted = mptcp_counters(netns)
        assert counted.agreed == 0
        assert counted.fallbacks > 0

    def test_subflows_that_join_are_counted_and_seen(self, netns: Runner, held: ExitStack) -> None:
        netns.change("ip", "mptcp", "limits", "set", "subflows", "2", "add_addr_accepted", "2")
        for address in ("127.0.0.2", "127.0.0.3"):
            netns.change("ip", "mptcp", "endpoint", "add", address, "dev", "lo", "subflow")
        talk(*pair(netns, held))
        wait_until(lambda: mptcp_counters(netns).joined == 2, "the subflows do not join")
        assert most_subflows(netns) == 3

    def test_a_fresh_kernel_has_counted_nothing(self, netns: Runner) -> None:
        assert mptcp_counters(netns) == Counters(0, 0, 0)
        assert most_subflows(netns) == 0


def test_counters_that_a_kernel_does_not_have_are_zero() -> None:
    assert parse_nstat('{"kernel": {"TcpActiveOpens": 7, "MPTcpExtMPJoinSynAckRx": 2}}') == Counters(0, 2, 0)


# As a kernel 6.18 names them; 6.12 lacks some, such as the one for MD5 signatures.
FALLBACKS = [
    "MPCapableFallbackACK",
    "MPCapableFallbackSYNACK",
    "MPCapableDataFallback",
    "MPCapableSYNTXDrop",
    "MPCapableSYNTXDisabled",
    "MPFallbackTokenInit",
    "DSSCorruptionFallback",
    "DssFallback",
    "MD5SigFallback",
    "SimultConnectFallback",
    "InfiniteMapTx",
    "InfiniteMapRx",
]


@pytest.mark.parametrize("name", FALLBACKS)
def test_every_way_to_fall_back_counts(name: str) -> None:
    assert parse_nstat(f'{{"kernel": {{"MPTcpExt{name}": 3, "MPTcpExtMPCapableSYNACKRX": 5}}}}') == Counters(5, 0, 3)


@pytest.mark.parametrize("name", ["MPTcpExtFallbackFailed", "TcpExtTCPRenoFallback", "MPTcpExtMPCapableSYNTX"])
def test_other_counters_are_no_fallbacks(name: str) -> None:
    assert parse_nstat(f'{{"kernel": {{"{name}": 3}}}}') == Counters(0, 0, 0)


def test_what_was_counted_before_is_taken_off() -> None:
    assert Counters(5, 4, 3) - Counters(1, 1, 1) == Counters(4, 3, 2)


@pytest.mark.parametrize(
    ("text", "subflows"),
    [
        ("", 0),
        ("LISTEN 0 4096 10.66.6.2:6666 0.0.0.0:*\n\t subflows_max:8\n", 0),
        ("ESTAB 0 0 10.66.6.2:40000 198.51.100.8:80\n\t subflows_max:8 remote_key token:aa\n", 1),
        ("ESTAB 0 0 a:1 b:2\n\t subflows:1 subflows_max:8\nESTAB 0 0 a:3 b:2\n\t subflows:3 subflows_max:8\n", 4),
    ],
)
def test_the_connection_with_most_subflows_counts(text: str, subflows: int) -> None:
    assert parse_ss(text) == subflows
