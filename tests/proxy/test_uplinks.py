"""Reaching hosts beyond this one: over a second uplink while the first is down, with Fast Open, with a small TTL."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from codec.reply import ReplyCode
from codec.socks6.stack import Leg, TcpFastOpen
from proxy.mptcp import IPPROTO_MPTCP, OutwardSockets, is_multipath
from proxy.options import Outward
from proxy.resolver import Candidate
from proxy.sources import DETOURS_TO_LEARN
from proxy.stack import LegWishes, Wishes
from tests.proxy.namespaces import socket_in
from tests.proxy.peers import receive_exactly
from tests.proxy.reaching import Reaching, reaching
from tests.proxy.uplinks import NOWHERE, SERVER, SOURCES, Uplinks, two_uplinks

pytestmark = [pytest.mark.netns, pytest.mark.slow]
EITHER_FAMILY = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
EITHER_PROTOCOL = pytest.mark.parametrize("multipath", [False, True], ids=["tcp", "mptcp"])
EARLY = bytes(range(256)) * 40
TCP_FASTOPEN = 23


@pytest.fixture
def uplinks() -> Iterator[Uplinks]:
    with two_uplinks() as made:
        yield made


@pytest.fixture
def server(uplinks: Uplinks, family: socket.AddressFamily) -> Iterator[socket.socket]:
    """A listening MPTCP socket of the server's, with Fast Open."""
    uplinks.set(uplinks.server, "net.ipv4.tcp_fastopen=3")
    with socket_in(uplinks.server, family, IPPROTO_MPTCP) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 16)
        listener.bind((SERVER[family], 0))
        listener.listen()
        yield listener


def source_of(
    uplinks: Uplinks, server: socket.socket, outward: Outward, *, multipath: bool, **given: Any
) -> str | ReplyCode | None:
    """The address of the host's that the server was reached from."""

    def reach() -> str | ReplyCode | None:
        host, port = server.getsockname()[:2]
        with reaching(outward, multipath=multipath) as made:
            made.prepare([(server.family, host)], port, **given)
            outcome = made.run()
            if outcome != host:
                return outcome
            assert is_multipath(made.client.remote) == multipath
            return str(made.client.remote.getsockname()[0])

    return uplinks.in_host(reach)


@EITHER_FAMILY
@EITHER_PROTOCOL
def test_while_all_is_well_the_routes_decide(
    uplinks: Uplinks, server: socket.socket, family: socket.AddressFamily, multipath: bool
) -> None:
    outward = Outward(sources=SOURCES[family][::-1])
    assert source_of(uplinks, server, outward, multipath=multipath) == SOURCES[family][0]


@EITHER_FAMILY
@EITHER_PROTOCOL
@pytest.mark.parametrize("by_name", [False, True], ids=["address", "name"])
def test_when_the_first_uplink_falls_silent_the_second_is_taken(
    uplinks: Uplinks, server: socket.socket, family: socket.AddressFamily, multipath: bool, by_name: bool
) -> None:
    uplinks.first_falls_silent()
    outward = Outward(sources=(*SOURCES[socket.AF_INET], *SOURCES[socket.AF_INET6]))
    assert source_of(uplinks, server, outward, multipath=multipath, by_name=by_name) == SOURCES[family][1]


@EITHER_FAMILY
@EITHER_PROTOCOL
def test_when_the_first_uplink_is_unplugged_the_second_is_taken(
    uplinks: Uplinks, server: socket.socket, family: socket.AddressFamily, multipath: bool
) -> None:
    uplinks.first_is_unplugged()
    if family == socket.AF_INET:
        # For IPv6 the kernel itself looks for a source address with which a rule leads somewhere.
        assert source_of(uplinks, server, Outward(), multipath=multipath) is ReplyCode.NETWORK_UNREACHABLE
    outward = Outward(sources=("10.78.3.2", "fd78:3::2", *SOURCES[family]))
    assert source_of(uplinks, server, outward, multipath=multipath) == SOURCES[family][1]


@pytest.mark.parametrize("family", [socket.AF_INET])
def test_a_host_that_refuses_is_not_asked_again_from_elsewhere(
    uplinks: Uplinks, server: socket.socket, family: socket.AddressFamily
) -> None:
    server.close()
    port = 1

    def reach() -> str | ReplyCode | None:
        with reaching(Outward(sources=("10.78.3.2", *SOURCES[family]))) as made:
            made.prepare([(family, SERVER[family])], port)
            return made.run()

    assert uplinks.in_host(reach) is ReplyCode.CONNECTION_REFUSED


@EITHER_FAMILY
def test_routers_that_refuse_are_told_apart(uplinks: Uplinks, family: socket.AddressFamily) -> None:
    def reach(host: str, wishes: Wishes) -> str | ReplyCode | None:
        with reaching() as made:
            made.prepare([(family, host)], 80, wishes=wishes)
            return made.run()

    small = Wishes(remote=LegWishes(ttl=1))
    enough = Wishes(remote=LegWishes(ttl=2))
    nowhere = ReplyCode.NETWORK_UNREACHABLE
    assert uplinks.in_host(lambda: reach(SERVER[family], small)) is ReplyCode.TTL_EXPIRED
    assert uplinks.in_host(lambda: reach(SERVER[family], enough)) is ReplyCode.CONNECTION_REFUSED
    assert uplinks.in_host(lambda: reach(NOWHERE[family], enough)) in (nowhere, ReplyCode.HOST_UNREACHABLE)


def early_to(made: Reaching, server: socket.socket, limit: int, before: list[Candidate]) -> tuple[int, bytes]:
    """Connect with early data; how much the SYN took, and what the server has once the client has sent the rest."""
    host, port = server.getsockname()[:2]
    attempt = made.prepare([*before, (server.family, host)], port, wishes=Wishes(fast_open=limit), early=EARLY)
    assert made.run() == host
    remote = made.client.remote
    remote.setblocking(True)
    remote.send(EARLY[attempt.in_syn :])
    assert attempt.answers(remote, multipath=False) == (TcpFastOpen(Leg.PROXY_REMOTE, attempt.in_syn),)
    with server.accept()[0] as accepted:
        accepted.settimeout(5)
        return attempt.in_syn, receive_exactly(accepted, len(EARLY))


@EITHER_FAMILY
@EITHER_PROTOCOL
@pytest.mark.parametrize("limit", [0, 100])
def test_the_syn_carries_early_data_once_the_kernel_has_a_cookie(
    uplinks: Uplinks, server: socket.socket, family: socket.AddressFamily, multipath: bool, limit: int
) -> None:
    def reach() -> tuple[int, bytes]:
        with reaching(multipath=multipath) as made:
            return early_to(made, server, limit, [])

    uplinks.set(uplinks.host, "net.ipv4.tcp_fastopen=1")
    assert uplinks.in_host(reach) == (0, EARLY)
    in_syn, received = uplinks.in_host(reach)
    assert received == EARLY
    assert in_syn == limit if limit else 1000 < in_syn < 1500
    uplinks.set(uplinks.host, "net.ipv4.tcp_fastopen=0")
    assert uplinks.in_host(reach) == (0, EARLY), "switched off, it is an ordinary connection"


@pytest.mark.parametrize("family", [socket.AF_INET])
@EITHER_PROTOCOL
def test_early_data_that_one_address_took_and_lost_go_to_the_next_whole(
    uplinks: Uplinks, server: socket.socket, family: socket.AddressFamily, multipath: bool
) -> None:
    """The host itself is tried first. It grants a cookie at one port, and refuses at another."""
    uplinks.set(uplinks.host, "net.ipv4.tcp_fastopen=3")
    source = SOURCES[family][0]

    def reach() -> tuple[int, bytes]:
        with socket.socket() as granting:
            granting.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 16)
            granting.bind((source, 0))
            granting.listen()
            with reaching() as made:
                assert early_to(made, granting, 0, []) == (0, EARLY)
        with reaching(multipath=multipath) as made:
            return early_to(made, server, 0, [(family, NOWHERE[family]), (family, source)])

    assert uplinks.in_host(reach) == (0, EARLY)


@pytest.mark.parametrize("family", [socket.AF_INET])
def test_a_host_that_cannot_be_routed_to_takes_no_early_data(
    uplinks: Uplinks, server: socket.socket, family: socket.AddressFamily
) -> None:
    uplinks.first_is_unplugged()

    def reach() -> str | ReplyCode | None:
        with reaching() as made:
            made.prepare([(family, SERVER[family])], 80, wishes=Wishes(fast_open=0), early=EARLY)
            return made.run()

    assert uplinks.in_host(reach) is ReplyCode.NETWORK_UNREACHABLE


@pytest.mark.parametrize("family", [socket.AF_INET])
def test_while_the_first_uplink_is_silent_connections_learn_to_begin_at_the_second(
    uplinks: Uplinks, server: socket.socket, family: socket.AddressFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    uplinks.first_falls_silent()
    sockets = OutwardSockets(multipath=False, sources=SOURCES[family])
    host, port = server.getsockname()[:2]

    def reach() -> str | ReplyCode | None:
        with reaching(sockets=sockets) as made:
            made.prepare([(family, host)], port)
            return made.run()

    for _ in range(DETOURS_TO_LEARN):
        assert uplinks.in_host(reach) == host
    monkeypatch.setattr("proxy.ways.UNANSWERED_SECONDS", 3600.0)
    assert uplinks.in_host(reach) == host
