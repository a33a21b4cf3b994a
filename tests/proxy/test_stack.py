"""Stack options: what clients wish is done as far as the kernel lets it, and answered as it came out."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from codec.socks6.draft04 import options as draft04
from codec.socks6.option import Option, RawOption
from codec.socks6.options import SessionRequest
from codec.socks6.stack import (
    HappyEyeballs,
    Leg,
    ListenBacklog,
    Multipath,
    NoFragmentation,
    Parity,
    PortParity,
    TcpFastOpen,
    Tos,
    Ttl,
    UdpError,
)
from proxy.mptcp import IPPROTO_MPTCP
from proxy.stack import (
    NO_WISHES,
    LegWishes,
    Wishes,
    answers,
    apply,
    connect_answers,
    connect_answers_draft04,
    wishes_of,
)

CLIENT, REMOTE, BOTH = Leg.CLIENT_PROXY, Leg.PROXY_REMOTE, Leg.BOTH
FAMILIES = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
KINDS = pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
DEFAULT_TTL = 64


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize(
    ("option", "wishes"),
    [
        (Tos(CLIENT, 8), Wishes(client=LegWishes(tos=8))),
        (Tos(REMOTE, 8), Wishes(remote=LegWishes(tos=8))),
        (Ttl(BOTH, 9), Wishes(LegWishes(ttl=9), LegWishes(ttl=9))),
        (NoFragmentation(REMOTE, wanted=False), Wishes(remote=LegWishes(no_fragmentation=False))),
        (HappyEyeballs(REMOTE, wanted=False), Wishes(happy_eyeballs=False)),
        (TcpFastOpen(REMOTE, 100), Wishes(fast_open=100)),
        (draft04.TcpFastOpen(REMOTE), Wishes(fast_open=0)),
        (draft04.TcpFastOpen(CLIENT), Wishes()),
        (Multipath(REMOTE, wanted=True), Wishes(multipath=True)),
        (ListenBacklog(REMOTE, 5), Wishes(backlog=5)),
        (UdpError(REMOTE, wanted=True), Wishes(udp_error=True)),
        (PortParity(REMOTE, Parity.ODD, reserve=True), Wishes(parity=PortParity(REMOTE, Parity.ODD, reserve=True))),
    ],
    ids=str,
)
def test_each_option_is_a_wish_for_its_leg(option: Option, wishes: Wishes) -> None:
    assert wishes_of((SessionRequest(), option)) == wishes


def test_legs_can_differ() -> None:
    assert wishes_of((Tos(CLIENT, 4), Tos(REMOTE, 8), Ttl(REMOTE, 7))) == Wishes(
        client=LegWishes(tos=4), remote=LegWishes(tos=8, ttl=7)
    )


def test_a_request_without_stack_options_wishes_nothing() -> None:
    assert wishes_of((SessionRequest(), RawOption(0xFC00, b""))) is NO_WISHES


@FAMILIES
@KINDS
def test_what_is_wished_is_done_and_answered(held: ExitStack, family: int, kind: int) -> None:
    sock = held.enter_context(socket.socket(family, kind))
    wishes = LegWishes(tos=0xB8, ttl=7, no_fragmentation=True)
    apply(sock, wishes)
    assert answers(sock, wishes, REMOTE) == (Tos(REMOTE, 0xB8), Ttl(REMOTE, 7), NoFragmentation(REMOTE, wanted=True))


@FAMILIES
def test_the_kernel_keeps_the_ecn_bits_of_tcp_and_the_answer_says_so(held: ExitStack, family: int) -> None:
    sock = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
    apply(sock, LegWishes(tos=0x2F))
    assert answers(sock, LegWishes(tos=0x2F), CLIENT) == (Tos(CLIENT, 0x2C),)


@FAMILIES
@KINDS
def test_a_ttl_of_zero_is_not_set(held: ExitStack, family: int, kind: int) -> None:
    sock = held.enter_context(socket.socket(family, kind))
    apply(sock, LegWishes(ttl=0))
    assert answers(sock, LegWishes(ttl=0), REMOTE) == (Ttl(REMOTE, DEFAULT_TTL),)


@FAMILIES
def test_fragmentation_that_is_allowed_is_not_enforced(held: ExitStack, family: int) -> None:
    sock = held.enter_context(socket.socket(family, socket.SOCK_DGRAM))
    apply(sock, LegWishes(no_fragmentation=False))
    assert answers(sock, LegWishes(no_fragmentation=False), REMOTE) == (NoFragmentation(REMOTE, wanted=False),)


@FAMILIES
def test_an_mptcp_socket_refuses_and_the_answer_is_what_its_subflows_have(held: ExitStack, family: int) -> None:
    sock = held.enter_context(socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP))
    wishes = LegWishes(tos=0xB8, ttl=7, no_fragmentation=True)
    apply(sock, wishes)
    tos = 0xB8 if family == socket.AF_INET else 0
    assert answers(sock, wishes, CLIENT) == (
        Tos(CLIENT, tos), Ttl(CLIENT, DEFAULT_TTL), NoFragmentation(CLIENT, wanted=False),
    )  # fmt: skip


def test_what_cannot_be_read_is_not_answered(held: ExitStack) -> None:
    """Without descriptors for another socket, an MPTCP socket's TTL is not to be had."""
    sock = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        told = answers(sock, LegWishes(tos=0, ttl=7), CLIENT)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert told == (Tos(CLIENT, 0),)


@pytest.mark.parametrize(
    ("wishes", "ipv4", "ipv6"),
    [
        (NO_WISHES, True, True),
        (Wishes(multipath=True), True, True),
        (Wishes(multipath=False), False, False),
        (Wishes(remote=LegWishes(tos=8)), True, False),
        (Wishes(remote=LegWishes(ttl=8), multipath=True), False, False),
        (Wishes(remote=LegWishes(ttl=0)), True, True),
        (Wishes(remote=LegWishes(no_fragmentation=True)), False, False),
        (Wishes(remote=LegWishes(no_fragmentation=False)), True, True),
        (Wishes(client=LegWishes(ttl=8)), True, True),
    ],
)
def test_multipath_yields_to_wishes_that_it_cannot_fulfil(wishes: Wishes, ipv4: bool, ipv6: bool) -> None:
    assert (wishes.allow_multipath(socket.AF_INET), wishes.allow_multipath(socket.AF_INET6)) == (ipv4, ipv6)


def test_only_what_was_asked_is_answered(held: ExitStack) -> None:
    sock = held.enter_context(socket.socket())
    assert connect_answers(sock, NO_WISHES, multipath=True, in_syn=3, raced=True) == ()
    every = Wishes(
        remote=LegWishes(tos=8), happy_eyeballs=True, fast_open=50, multipath=True, backlog=5, udp_error=True
    )
    apply(sock, every.remote)
    assert connect_answers(sock, every, multipath=False, in_syn=3, raced=True) == (
        Tos(REMOTE, 8), HappyEyeballs(REMOTE, wanted=True), TcpFastOpen(REMOTE, 3), Multipath(REMOTE, wanted=False),
    )  # fmt: skip


def test_happy_eyeballs_is_answered_for_names_only(held: ExitStack) -> None:
    sock = held.enter_context(socket.socket())
    wishes = Wishes(happy_eyeballs=True)
    assert connect_answers(sock, wishes, multipath=False, in_syn=0, raced=None) == ()
    assert connect_answers(sock, wishes, multipath=False, in_syn=0, raced=False) == (
        HappyEyeballs(REMOTE, wanted=False),
    )


def test_draft_04_tells_what_is_so_and_nothing_else() -> None:
    fast_open, multipath = draft04.TcpFastOpen(REMOTE), draft04.Multipath(REMOTE)
    assert connect_answers_draft04(multipath=True, in_syn=9) == (fast_open, multipath)
    assert connect_answers_draft04(multipath=False, in_syn=9) == (fast_open,)
    assert connect_answers_draft04(multipath=True, in_syn=0) == (multipath,)
    assert connect_answers_draft04(multipath=False, in_syn=0) == ()
