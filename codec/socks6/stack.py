"""Stack options: what a client asks of the TCP/IP stack on either side of the proxy (draft-11 "Stack options").

A stack option is an option of kind 1 whose body is `leg (2 bits) level (6 bits) | code | value (2 octets)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import ClassVar, Self

STACK_KIND = 1
BODY_LENGTH = 4
_U16 = Struct(">H")


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


@dataclass(frozen=True, slots=True)
class StackOption(ABC):
    """The base of all; its children are what is sent."""

    leg: Leg
    level: ClassVar[Level]
    code: ClassVar[int]
    remote_leg_only: ClassVar[bool] = True

    @property
    @abstractmethod
    def value(self) -> bytes:
        """The two octets behind leg, level and code."""

    @classmethod
    @abstractmethod
    def parse(cls, leg: Leg, value: bytes) -> Self | None:
        """The option with these two value octets, or None when they mean nothing."""

    @property
    def body(self) -> bytes:
        """The four octets behind the option's kind and length."""
        return bytes((self.leg << 6 | self.level, self.code)) + self.value


@dataclass(frozen=True, slots=True)
class Octet(StackOption):
    """An option whose value is one octet."""

    octet: int
    remote_leg_only = False

    @property
    def value(self) -> bytes:
        return bytes((self.octet, 0))

    @classmethod
    def parse(cls, leg: Leg, value: bytes) -> Self | None:
        return cls(leg, value[0])


@dataclass(frozen=True, slots=True)
class Number(StackOption):
    """An option whose value is a number of two octets."""

    number: int

    @property
    def value(self) -> bytes:
        return _U16.pack(self.number)

    @classmethod
    def parse(cls, leg: Leg, value: bytes) -> Self | None:
        return cls(leg, _U16.unpack(value)[0])


@dataclass(frozen=True, slots=True)
class Choice(StackOption):
    """An option that is wanted or not (from a client), had or not (from a proxy). On the wire 2 is yes, 1 is no."""

    wanted: bool

    @property
    def value(self) -> bytes:
        return b"\2\0" if self.wanted else b"\1\0"

    @classmethod
    def parse(cls, leg: Leg, value: bytes) -> Self | None:
        return cls(leg, value[0] == 2) if value[0] in (1, 2) else None


class Tos(Octet):
    """The whole TOS or traffic class octet, ECN bits included."""

    __slots__ = ()
    level = Level.IP
    code = 1


class Ttl(Octet):
    """The TTL or hop limit."""

    __slots__ = ()
    level = Level.IP
    code = 3


class HappyEyeballs(Choice):
    """Race the addresses of a name (RFC 8305)."""

    __slots__ = ()
    level = Level.IP
    code = 2


class NoFragmentation(Choice):
    """`wanted`: packets must not be fragmented (IPv4: the DF bit)."""

    __slots__ = ()
    level = Level.IP
    code = 4
    remote_leg_only = False


class FastOpen(Number):
    """TCP Fast Open; the number bounds the octets in the SYN, 0 for no bound."""

    __slots__ = ()
    level = Level.TCP
    code = 1


class Multipath(Choice):
    """MPTCP towards the remote host."""

    __slots__ = ()
    level = Level.TCP
    code = 2


class ListenBacklog(Number):
    """The backlog of a BIND; 0 in a reply: none was issued."""

    __slots__ = ()
    level = Level.TCP
    code = 3


class UdpError(Choice):
    """Errors of a UDP association are reported to the client."""

    __slots__ = ()
    level = Level.UDP
    code = 1


@dataclass(frozen=True, slots=True)
class PortParity(StackOption):
    """The parity that a UDP port should have, and whether its neighbour is to be reserved."""

    parity: Parity
    reserve: bool
    level = Level.UDP
    code = 2

    @property
    def value(self) -> bytes:
        return bytes((self.parity, self.reserve))

    @classmethod
    def parse(cls, leg: Leg, value: bytes) -> Self | None:
        return cls(leg, Parity(value[0]), bool(value[1])) if value[0] <= Parity.ODD and value[1] <= 1 else None


STACK_OPTIONS: dict[tuple[int, int], type[StackOption]] = {
    (option.level.value, option.code): option
    for option in (
        Tos, HappyEyeballs, Ttl, NoFragmentation, FastOpen, Multipath, ListenBacklog, UdpError, PortParity,
    )
}  # fmt: skip
"""Every stack option by level and code."""


def parse_stack_option(body: bytes) -> StackOption | None:
    """The stack option with this body, or None when it is unknown or makes no sense: it is then ignored."""
    if len(body) != BODY_LENGTH or body[0] < 0x40:
        return None
    kind = STACK_OPTIONS.get((body[0] & 0x3F, body[1]))
    leg = Leg(body[0] >> 6)
    if kind is None or (kind.remote_leg_only and leg is not Leg.PROXY_REMOTE):
        return None
    return kind.parse(leg, body[2:])
