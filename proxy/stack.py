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
)

from codec.socks6 import stack as draft11
from codec.socks6.draft04 import options as draft04
from codec.socks6.option import Option, RawOption
from codec.socks6.stack import (
    HappyEyeballs,
    Leg,
    ListenBacklog,
    Multipath,
    NoFragmentation,
    PortParity,
    StackOption,
    Tos,
    Ttl,
    UdpError,
)

# From linux/in.h and linux/in6.h; the socket module names them from Python 3.14 on.
_IP_MTU_DISCOVER = 10
_IPV6_MTU_DISCOVER = 23
_PMTUDISC_DO = 2
"""DF on every packet, and the path MTU heeded; PROBE would not heed it, so that TCP stalls where it is small."""
_PMTUDISC_PROBE = 3

_TOS = {AF_INET: (IPPROTO_IP, IP_TOS), AF_INET6: (IPPROTO_IPV6, IPV6_TCLASS)}
_TTL = {AF_INET: (IPPROTO_IP, IP_TTL), AF_INET6: (IPPROTO_IPV6, IPV6_UNICAST_HOPS)}
_PMTU = {AF_INET: (IPPROTO_IP, _IP_MTU_DISCOVER), AF_INET6: (IPPROTO_IPV6, _IPV6_MTU_DISCOVER)}


@dataclass(frozen=True, slots=True)
class LegWishes:
    """For one side of the proxy; None where nothing was said."""

    tos: int | None = None
    ttl: int | None = None
    """0, with which nothing leaves the host, is answered but not done."""
    no_fragmentation: bool | None = None

    def needs_plain_tcp(self, family: int) -> bool:
        """Whether an MPTCP socket would refuse any of it: an explicit wish about packets then wins over Multipath.

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
    draft04: bool = False
    """Answers have the form of draft-04."""

    @property
    def wants_multipath(self) -> bool:
        """Whether remote hosts are reached over MPTCP, as far as the kernel has it.

        The draft would have it asked for ("SHOULD NOT" otherwise); here MPTCP outward is what the proxy is for, so it
        is used unless the client says no.
        """
        return self.multipath is not False


NO_WISHES = Wishes()


def wishes_of(options: Iterable[Option | RawOption]) -> Wishes:
    """What a request's options say about the stack; `NO_WISHES` itself when they say nothing."""
    stack = tuple(option for option in options if isinstance(option, StackOption))
    return _wishes(stack) if stack else NO_WISHES


# Clients ask for the same few again and again. Nothing but stack options is kept: no credentials.
@lru_cache(maxsize=256)
def _wishes(options: tuple[StackOption, ...]) -> Wishes:
    found = {type(option): option for option in options if option.leg & Leg.PROXY_REMOTE}

    def told(kind: type[StackOption], name: str) -> int | None:
        option = found.get(kind)
        return None if option is None else getattr(option, name)

    parity = found.get(PortParity)
    assert parity is None or isinstance(parity, PortParity)
    is_draft04 = draft04.TcpFastOpen in found
    return Wishes(
        client=_leg_wishes(options, Leg.CLIENT_PROXY),
        remote=_leg_wishes(options, Leg.PROXY_REMOTE),
        happy_eyeballs=_flag(told(HappyEyeballs, "wanted")),
        fast_open=0 if is_draft04 else told(draft11.TcpFastOpen, "payload_size"),
        multipath=_flag(told(Multipath, "wanted")),
        backlog=told(ListenBacklog, "backlog"),
        udp_error=_flag(told(UdpError, "wanted")),
        parity=parity,
        draft04=is_draft04,
    )


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _leg_wishes(options: tuple[StackOption, ...], leg: Leg) -> LegWishes:
    tos = ttl = no_fragmentation = None
    for option in options:
        if not option.leg & leg:
            continue
        if isinstance(option, Tos):
            tos = option.tos
        elif isinstance(option, Ttl):
            ttl = option.ttl
        elif isinstance(option, NoFragmentation):
            no_fragmentation = option.wanted
    return LegWishes(tos, ttl, no_fragmentation)
