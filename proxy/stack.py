"""What clients wish of the TCP/IP stack (draft-11 "Stack options"): done to sockets, and answered as it came out.

Wishes are set before a socket is used. The answers are read back from the socket afterwards, because the kernel has its
own mind: of the TOS of a TCP socket it keeps the two ECN bits to itself, and MPTCP sockets refuse much.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from socket import (
    AF_INET,
    AF_INET6,
    IP_TOS,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_TCLASS,
    IPV6_UNICAST_HOPS,
    SOCK_STREAM,
    SocketType,
    socket,
)
from typing import Any

from codec.socks6.draft04 import options as draft04
from codec.socks6.option import Option, RawOption
from codec.socks6.option_list import find_option
from codec.socks6.stack import (
    HappyEyeballs,
    Leg,
    ListenBacklog,
    Multipath,
    NoFragmentation,
    PortParity,
    StackOption,
    TcpFastOpen,
    Tos,
    Ttl,
    UdpError,
)

# From linux/in.h and linux/in6.h; the socket module names them from Python 3.14 on.
_IP_MTU_DISCOVER = 10
_IPV6_MTU_DISCOVER = 23
_PMTUDISC_DO = 2
"""DF on every packet, and the path MTU heeded; PROBE would not heed it, so that TCP stalls where it is small."""
_ALWAYS_DF = frozenset((_PMTUDISC_DO, 3))

_TOS: dict[int, tuple[int, int]] = {AF_INET: (IPPROTO_IP, IP_TOS), AF_INET6: (IPPROTO_IPV6, IPV6_TCLASS)}
_TTL: dict[int, tuple[int, int]] = {AF_INET: (IPPROTO_IP, IP_TTL), AF_INET6: (IPPROTO_IPV6, IPV6_UNICAST_HOPS)}
_PATH_MTU: dict[int, tuple[int, int]] = {
    AF_INET: (IPPROTO_IP, _IP_MTU_DISCOVER),
    AF_INET6: (IPPROTO_IPV6, _IPV6_MTU_DISCOVER),
}


@dataclass(frozen=True, slots=True)
class LegWishes:
    """For one side of the proxy; None where nothing was said."""

    tos: int | None = None
    ttl: int | None = None
    """0, with which nothing leaves the host, is answered but not done."""
    no_fragmentation: bool | None = None

    def needs_plain_tcp(self, family: int) -> bool:
        """Whether an MPTCP socket would refuse any of it: an explicit wish about packets wins over Multipath.

        Linux sets the TOS of MPTCP's subflows for IPv4 alone, and their TTL and path MTU discovery not at all.
        """
        return bool(self.ttl or self.no_fragmentation or (self.tos is not None and family == AF_INET6))


@dataclass(frozen=True, slots=True)
class Wishes:
    """The stack options of a request; None where the client said nothing."""

    client: LegWishes = LegWishes()
    remote: LegWishes = LegWishes()
    happy_eyeballs: bool | None = None
    """Counts for destinations given by name."""
    fast_open: int | None = None
    """TCP Fast Open, with no more octets than this in the SYN; 0: as many as fit."""
    multipath: bool | None = None
    backlog: int | None = None
    udp_error: bool | None = None
    parity: PortParity | None = None

    def allow_multipath(self, family: int) -> bool:
        """Whether remote hosts are reached over MPTCP, as far as the kernel has it.

        The draft would have it asked for ("SHOULD NOT" otherwise); here MPTCP outward is what the proxy is for, so it
        is used unless the client says no, or wishes what an MPTCP socket refuses.
        """
        return self.multipath is not False and not self.remote.needs_plain_tcp(family)


NO_WISHES = Wishes()


def wishes_of(options: Iterable[Option | RawOption]) -> Wishes:
    """What a request's options say about the stack; `NO_WISHES` itself when they say nothing."""
    stack = tuple([option for option in options if isinstance(option, StackOption)])
    return _wishes(stack) if stack else NO_WISHES


_LEG_WISHES: dict[type[StackOption], tuple[str, str]] = {
    Tos: ("tos", "tos"),
    Ttl: ("ttl", "ttl"),
    NoFragmentation: ("no_fragmentation", "wanted"),
}
"""For an option the field that it sets, and the attribute that it takes the value from."""
_OTHER_WISHES: dict[type[StackOption], tuple[str, str]] = {
    HappyEyeballs: ("happy_eyeballs", "wanted"),
    TcpFastOpen: ("fast_open", "payload_size"),
    Multipath: ("multipath", "wanted"),
    ListenBacklog: ("backlog", "backlog"),
    UdpError: ("udp_error", "wanted"),
}


# Clients ask for the same few again and again. Nothing but stack options is kept: no credentials.
@lru_cache(maxsize=256)
def _wishes(options: tuple[StackOption, ...]) -> Wishes:
    others = _said(options, Leg.PROXY_REMOTE, _OTHER_WISHES)
    if any(isinstance(option, draft04.TcpFastOpen) and option.leg & Leg.PROXY_REMOTE for option in options):
        others["fast_open"] = 0
    return Wishes(
        client=LegWishes(**_said(options, Leg.CLIENT_PROXY, _LEG_WISHES)),
        remote=LegWishes(**_said(options, Leg.PROXY_REMOTE, _LEG_WISHES)),
        parity=find_option(options, PortParity),
        **others,
    )


def _said(
    options: tuple[StackOption, ...], leg: Leg, fields: dict[type[StackOption], tuple[str, str]]
) -> dict[str, Any]:
    known = [(fields[type(option)], option) for option in options if option.leg & leg and type(option) in fields]
    return {field: getattr(option, attribute) for (field, attribute), option in known}


def apply(sock: SocketType, wishes: LegWishes) -> None:
    """Do what is wished to a TCP or UDP socket, as far as the kernel lets it: `answers` tells how far."""
    family = sock.family
    if wishes.tos is not None:
        _set(sock, _TOS[family], wishes.tos)
    if wishes.ttl:
        _set(sock, _TTL[family], wishes.ttl)
    if wishes.no_fragmentation:
        _set(sock, _PATH_MTU[family], _PMTUDISC_DO)


def answers(sock: SocketType, wishes: LegWishes, leg: Leg) -> tuple[StackOption, ...]:
    """What holds now on one leg, as the operation reply says it, for each wish."""
    told: list[StackOption] = []
    family = sock.family
    if wishes.tos is not None and (tos := _get(sock, _TOS[family])) is not None:
        told.append(Tos(leg, tos))
    if wishes.ttl is not None and (ttl := _get(sock, _TTL[family])) is not None:
        told.append(Ttl(leg, ttl))
    if wishes.no_fragmentation is not None:
        # That it is allowed is no wish for it: the kernel's own way (DF, and segments made smaller) stays.
        told.append(NoFragmentation(leg, _get(sock, _PATH_MTU[family]) in _ALWAYS_DF))
    return tuple(told)


def connect_answers(
    sock: SocketType, wishes: Wishes, *, multipath: bool, in_syn: int, raced: bool | None
) -> tuple[StackOption, ...]:
    """The reply's stack options for the remote leg of a CONNECT.

    `in_syn` is the count of octets that the SYN carried: the draft leaves open what a proxy says of TCP Fast Open, here
    0 means that the SYN was empty. `raced` tells whether Happy Eyeballs was in force; None where there was no name.
    """
    if wishes is NO_WISHES:
        return ()
    told = list(answers(sock, wishes.remote, Leg.PROXY_REMOTE))
    if wishes.happy_eyeballs is not None and raced is not None:
        told.append(HappyEyeballs(Leg.PROXY_REMOTE, raced))
    if wishes.fast_open is not None:
        told.append(TcpFastOpen(Leg.PROXY_REMOTE, in_syn))
    if wishes.multipath is not None:
        told.append(Multipath(Leg.PROXY_REMOTE, multipath))
    return tuple(told)


def connect_answers_draft04(*, multipath: bool, in_syn: int) -> tuple[StackOption, ...]:
    """The same in draft-04, where nothing is answered that is not so, and MPTCP is told of unasked."""
    fast_open = (draft04.TcpFastOpen(Leg.PROXY_REMOTE),) if in_syn else ()
    return (*fast_open, draft04.Multipath(Leg.PROXY_REMOTE)) if multipath else fast_open


def _set(sock: SocketType, option: tuple[int, int], value: int) -> None:
    # A client may have come over MPTCP, whose sockets refuse: a proxy "MAY choose not to honor" a stack option.
    with suppress(OSError):
        sock.setsockopt(*option, value)


def _get(sock: SocketType, option: tuple[int, int]) -> int | None:
    try:
        return sock.getsockopt(*option)
    except OSError:
        pass
    # MPTCP again. Its subflows are made with the host's defaults, which a new socket has.
    try:
        with socket(sock.family, SOCK_STREAM) as fresh:
            return fresh.getsockopt(*option)
    except OSError:
        return None
