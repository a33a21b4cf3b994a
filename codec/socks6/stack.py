"""Stack options: what a client asks of the TCP/IP stack on either side of the proxy (draft-11 "Stack options").

A stack option is an option of kind 1 whose body is `leg (2 bits) level (6 bits) | code | value (2 octets)`. From a
client it says what is wished, from a proxy what is so.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import ClassVar, Self

from codec.errors import LocalProtocolError, RemoteProtocolError
from codec.socks6.option import Option, OptionKind, Place, choice, flag, named, number, option

BODY_LENGTH = 4


class Leg(IntEnum):
    """Which side of the proxy is meant. A bit set: `BOTH` is the other two together."""

    CLIENT_PROXY = 1
    PROXY_REMOTE = 2
    BOTH = 3


class Level(IntEnum):
    """The protocol that an option is about."""

    IP = 1
    IPV4 = 2
    IPV6 = 3
    TCP = 4
    UDP = 5


class Parity(IntEnum):
    """The parity of a port. The numbers are those of draft-11 (draft-10 had 0 even, 1 odd)."""

    NONE = 0
    EVEN = 1
    ODD = 2


_REMOTE = Leg.PROXY_REMOTE
_LEGS = {leg.value: leg for leg in Leg}


@dataclass(frozen=True, slots=True)
class StackOption(Option):
    """The base of all; its children are what is sent."""

    leg: Leg
    kind = OptionKind.STACK
    places = Place.REQUEST | Place.OPERATION_REPLY
    alignment = 2
    level: ClassVar[Level]
    code: ClassVar[int]
    remote_leg_only: ClassVar[bool] = True

    @property
    def body(self) -> bytes:
        if self.remote_leg_only and self.leg is not _REMOTE:
            raise LocalProtocolError(f"{type(self).__name__} is for the leg between proxy and remote host only")
        return bytes((self.leg << 6 | self.level, self.code)) + self.layout.pack(self)

    @classmethod
    def parse(cls, body: bytes) -> Self | None:
        leg = _LEGS.get(body[0] >> 6)
        if leg is None or (cls.remote_leg_only and leg is not _REMOTE):
            raise RemoteProtocolError(f"{cls.__name__} is not for leg {body[0] >> 6}")
        return cls(leg, *cls.layout.unpack(body[2:]))

    @property
    def subjects(self) -> tuple[Hashable, ...]:
        return tuple((type(self), leg) for leg in (Leg.CLIENT_PROXY, Leg.PROXY_REMOTE) if self.leg & leg)

    @property
    def value(self) -> Hashable:
        return self.layout.values(self)


@option
class Tos(StackOption):
    """The whole TOS or traffic class octet, ECN bits included."""

    level = Level.IP
    code = 1
    remote_leg_only = False
    tos: int = number(1)


@option
class HappyEyeballs(StackOption):
    """Race the addresses of a name (RFC 8305)."""

    level = Level.IP
    code = 2
    wanted: bool = choice("not desired, not performed", "desired, attempted")


@option
class Ttl(StackOption):
    """The TTL or hop limit."""

    level = Level.IP
    code = 3
    remote_leg_only = False
    ttl: int = number(1)


@option
class NoFragmentation(StackOption):
    """`wanted`: packets must not be fragmented (IPv4: the DF bit)."""

    level = Level.IP
    code = 4
    remote_leg_only = False
    wanted: bool = choice("fragmentation allowed, not enforced", "fragmentation not desired, enforced")


@option
class TcpFastOpen(StackOption):
    """TCP Fast Open (RFC 7413); the payload size in octets bounds what the SYN carries, 0 for no bound."""

    level = Level.TCP
    code = 1
    payload_size: int = number(2)


@option
class Multipath(StackOption):
    """MPTCP (RFC 8684) towards the remote host."""

    level = Level.TCP
    code = 2
    wanted: bool = choice("not desired, not available", "desired, available")


@option
class ListenBacklog(StackOption):
    """The backlog of a BIND; 0 in a reply: none was issued."""

    level = Level.TCP
    code = 3
    backlog: int = number(2)


@option
class UdpError(StackOption):
    """Errors of a UDP association are reported to the client."""

    level = Level.UDP
    code = 1
    wanted: bool = choice("not desired, not available", "desired, available")


@option
class PortParity(StackOption):
    """The parity that a UDP port should have, and whether its neighbour is to be reserved."""

    level = Level.UDP
    code = 2
    parity: Parity = named(Parity)
    reserve: bool = flag()


STACK_OPTIONS: dict[tuple[int, int], type[StackOption]] = {
    (option.level.value, option.code): option
    for option in (
        Tos, HappyEyeballs, Ttl, NoFragmentation, TcpFastOpen, Multipath, ListenBacklog, UdpError, PortParity,
    )
}  # fmt: skip
"""Every stack option by level and code."""


# Clients ask for the same few again and again. An entry is small, and the cache holds only so many.
@lru_cache(maxsize=1024)
def parse_stack_option(body: bytes) -> StackOption | None:
    """The stack option with this body, or None when it is unknown. `RemoteProtocolError` for a body that cannot be."""
    if len(body) != BODY_LENGTH:
        raise RemoteProtocolError(f"a stack option has {BODY_LENGTH} octets behind its header, not {len(body)}")
    kind = STACK_OPTIONS.get((body[0] & 0x3F, body[1]))
    return None if kind is None else kind.parse(body)
