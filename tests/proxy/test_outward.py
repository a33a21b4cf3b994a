"""Reaching a host that has several addresses, on loopback.

An address that does not answer is one whose listener has its backlog full: the kernel drops further SYNs.
"""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count

import pytest

from codec.reply import ReplyCode
from codec.socks6.stack import HappyEyeballs, Leg, Multipath, TcpFastOpen, Tos, Ttl
from proxy.mptcp import IPPROTO_MPTCP, OutwardSockets, is_multipath
from proxy.options import Outward
from proxy.outcome import keep_icmp, most_telling, ttl_expired
from proxy.outward import MOST_AT_ONCE
from proxy.resolver import Candidate, candidate
from proxy.stack import LegWishes, Wishes
from tests.proxy.reaching import Reaching, reaching

QUICKLY = Outward(happy_eyeballs_delay=0.02)
REMOTE = Leg.PROXY_REMOTE
FIRST, SECOND, THIRD = "127.0.0.1", "127.0.0.2", "127.0.0.3"


def _unused_port() -> int:
    """One that nobody has on any address; below those that the kernel hands out, so that it stays so."""
    for _ in range(100):
        port = random.randrange(10_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    raise AssertionError("no port is free")


class Hosts:
    """Listeners at one port of several addresses."""

    def __init__(self, held: ExitStack) -> None:
        self._held = held
        self.port = _unused_port()

    def listen(self, host: str, *, backlog: int = 128, protocol: int = 0) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = self._held.enter_context(socket.socket(family, socket.SOCK_STREAM, protocol))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, self.port))
        listener.listen(backlog)
        return listener

    def silent(self, host: str) -> socket.socket:
        """Takes no more connections, and does not say so."""
        listener = self.listen(host, backlog=0)
        self._held.enter_context(socket.create_connection((host, self.port)))
        return listener


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with ExitStack() as held:
        yield Hosts(held)


@pytest.fixture
def reach() -> Iterator[Reaching]:
    with reaching(QUICKLY) as made:
        yield made


def at(*hosts: str) -> list[Candidate]:
    return [candidate(host) for host in hosts]


def test_the_first_address_is_the_first_to_be_tried(hosts: Hosts, reach: Reaching) -> None:
    hosts.listen(FIRST)
    second = hosts.listen(SECOND)
    reach.prepare(at(FIRST, SECOND), hosts.port, by_name=True)
    assert reach.run() == FIRST
    second.setblocking(False)
    with pytest.raises(BlockingIOError):
        second.accept()


@pytest.mark.parametrize("by_name", [False, True])
def test_the_next_is_tried_at_once_when_one_refuses(hosts: Hosts, by_name: bool) -> None:
    hosts.listen(THIRD)
    with reaching(Outward(happy_eyeballs_delay=3600)) as reach:
        reach.prepare(at(FIRST, SECOND, THIRD), hosts.port, by_name=by_name)
        assert reach.run() == THIRD


def test_the_next_is_tried_soon_when_one_does_not_answer(hosts: Hosts, reach: Reaching) -> None:
    hosts.silent(FIRST)
    hosts.listen(SECOND)
    attempt = reach.prepare(at(FIRST, SECOND), hosts.port, by_name=True)
    assert reach.run() == SECOND
    assert attempt.raced
    assert reach.under_way == 0, "the losers are closed"


def test_one_that_answers_late_still_wins_when_the_others_fail(hosts: Hosts, reach: Reaching) -> None:
    """The listener takes its connections off the full backlog, and the SYN that the kernel sends again gets through."""
    listener = hosts.silent(FIRST)
    reach.prepare(at(FIRST, SECOND), hosts.port, by_name=True)

    def take_one() -> None:
        listener.accept()[0].close()

    reach.after(0.1, take_one)
    assert reach.run() == FIRST


@pytest.mark.parametrize(("by_name", "wishes"), [(False, Wishes()), (True, Wishes(happy_eyeballs=False))])
def test_without_a_race_the_next_waits_until_the_one_before_has_had_its_time(
    hosts: Hosts, reach: Reaching, by_name: bool, wishes: Wishes
) -> None:
    hosts.silent(FIRST)
    hosts.listen(SECOND)
    attempt = reach.prepare(at(FIRST, SECOND), hosts.port, by_name=by_name, wishes=wishes)
    seen: list[int] = []
    reach.after(0.2, lambda: seen.append(reach.under_way))
    reach.after(0.2, attempt.expired)
    assert reach.run() == SECOND
    assert seen == [1]
    assert not attempt.raced


def test_what_takes_too_long_has_timed_out(hosts: Hosts, reach: Reaching) -> None:
    for host in (FIRST, SECOND):
        hosts.silent(host)
    attempt = reach.prepare(at(FIRST, SECOND), hosts.port, by_name=True)
    reach.after(0.2, attempt.expired)
    assert reach.run() is ReplyCode.TIMED_OUT
    assert reach.client.waiting_since > 0


def test_only_so_many_race_at_once(hosts: Hosts, reach: Reaching) -> None:
    silent = [f"127.0.1.{n}" for n in range(1, MOST_AT_ONCE + 1)]
    for host in silent:
        hosts.silent(host)
    hosts.listen(THIRD)
    attempt = reach.prepare(at(*silent, THIRD), hosts.port, by_name=True)
    seen: list[int] = []
    reach.after(0.5, lambda: seen.append(reach.under_way))
    reach.after(0.5, attempt.expired)
    assert reach.run() == THIRD
    assert seen == [MOST_AT_ONCE]


def test_the_families_take_turns(hosts: Hosts, reach: Reaching) -> None:
    """Were the addresses tried in their order, the many of IPv4 would come first, and the race would be full."""
    silent = [f"127.0.1.{n}" for n in range(1, MOST_AT_ONCE + 1)]
    for host in silent:
        hosts.silent(host)
    hosts.listen("::1")
    reach.prepare(at(*silent, "::1"), hosts.port, by_name=True)
    assert reach.run() == "::1"


def test_of_several_failures_the_most_telling_is_reported(hosts: Hosts, reach: Reaching) -> None:
    hosts.listen(FIRST)
    reach.prepare(at(SECOND, "192.0.2.1"), hosts.port)
    reach.client.worker.sockets = Failing(errno.ENETUNREACH, after=1)
    assert reach.run() is ReplyCode.CONNECTION_REFUSED
    assert most_telling(ReplyCode.TIMED_OUT, ReplyCode.NETWORK_UNREACHABLE) is ReplyCode.TIMED_OUT


class Failing(OutwardSockets):
    """Makes so many sockets, and then fails."""

    def __init__(self, error: int, *, after: int) -> None:
        super().__init__(multipath=False)
        self._error = error
        self._left = count(after, -1)

    def open(self, family: int, *, multipath: bool) -> socket.SocketType:
        if not next(self._left):
            raise OSError(self._error, "made to fail")
        return super().open(family, multipath=multipath)


def test_a_socket_that_cannot_be_made_is_a_failure_like_others(reach: Reaching) -> None:
    reach.client.worker.sockets = Failing(errno.EMFILE, after=0)
    reach.prepare(at(FIRST), 1)
    assert reach.run() is ReplyCode.GENERAL_FAILURE


def test_nothing_is_left_when_the_client_goes(hosts: Hosts, reach: Reaching) -> None:
    for host in (FIRST, SECOND):
        hosts.silent(host)
    attempt = reach.prepare(at(FIRST, SECOND, THIRD), hosts.port, by_name=True)
    reach.after(0.03, attempt.cancel)
    reach.after(0.1, reach.loop.stop)
    assert reach.run() is None
    assert reach.under_way == 0


def test_a_defect_reaches_the_client(hosts: Hosts, reach: Reaching, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.listen(FIRST)
    monkeypatch.setattr(reach.client, "reached", lambda *_: 1 // 0)
    reach.prepare(at(FIRST), hosts.port)
    reach.run()
    assert isinstance(reach.client.error, ZeroDivisionError)
    reach.attempt.cancel()
    assert reach.under_way == 0


@pytest.mark.parametrize(("host", "tos", "multipath"), [(FIRST, 8, True), ("::1", 8, False), ("::1", None, True)])
def test_explicit_wishes_win_over_multipath_and_the_answer_says_so(
    hosts: Hosts, host: str, tos: int | None, multipath: bool
) -> None:
    hosts.listen(host, protocol=IPPROTO_MPTCP)
    wishes = Wishes(remote=LegWishes(tos=tos), multipath=True, happy_eyeballs=True)
    with reaching(multipath=True) as reach:
        attempt = reach.prepare(at(host), hosts.port, wishes=wishes, by_name=True)
        assert reach.run() == host
        told = attempt.answers(reach.client.remote, multipath=is_multipath(reach.client.remote))
    expected = (HappyEyeballs(REMOTE, wanted=True), Multipath(REMOTE, wanted=multipath))
    assert told == (expected if tos is None else (Tos(REMOTE, tos), *expected))


def test_a_ttl_is_set_before_the_first_packet_leaves(hosts: Hosts, reach: Reaching) -> None:
    listener = hosts.listen(FIRST)
    listener.setsockopt(socket.IPPROTO_IP, 21, 200)
    attempt = reach.prepare(at(FIRST), hosts.port, wishes=Wishes(remote=LegWishes(ttl=201)))
    assert reach.run() == FIRST
    assert attempt.answers(reach.client.remote, multipath=False) == (Ttl(REMOTE, 201),)


def test_a_failure_that_no_router_reported_is_not_blamed_on_the_ttl() -> None:
    with socket.socket() as sock:
        keep_icmp(sock, keep=True)
        assert not ttl_expired(sock)


def test_fast_open_without_early_data_is_an_ordinary_connection(hosts: Hosts, reach: Reaching) -> None:
    hosts.listen(FIRST)
    attempt = reach.prepare(at(FIRST), hosts.port, wishes=Wishes(fast_open=0))
    assert reach.run() == FIRST
    assert attempt.answers(reach.client.remote, multipath=False) == (TcpFastOpen(REMOTE, 0),)
