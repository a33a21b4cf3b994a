"""The options of draft-04: fewer than later, neither aligned nor padded, with octets for kind and length."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Self

from codec.method import AuthenticationMethod
from codec.socks6 import options as draft11
from codec.socks6.option import Option, Place, named, number, option
from codec.socks6.options import LARGEST_WINDOW, decode_methods, encode_methods
from codec.socks6.stack import Level, StackOption

EITHER_REPLY = Place.AUTHENTICATION_REPLY | Place.OPERATION_REPLY


class OptionKind(IntEnum):
    """The kinds of draft-04."""

    STACK = 1
    AUTHENTICATION_METHODS = 2
    AUTHENTICATION_DATA = 3
    IDEMPOTENCE = 4


class Scheduler(IntEnum):
    """Schedulers of the MPTCP of 2018."""

    DEFAULT = 1
    ROUND_ROBIN = 2
    REDUNDANT = 3


class Expenditure(IntEnum):
    """What became of a token."""

    SUCCESS = 1
    NO_WINDOW = 2
    OUT_OF_WINDOW = 3
    DUPLICATE = 4


@option
class TcpFastOpen(StackOption):
    """TCP Fast Open (RFC 7413): asked for by a client, done by a proxy."""

    alignment = 1
    remote_leg_only = False
    level = Level.TCP
    code = 1


@option
class Multipath(StackOption):
    """MPTCP is in use on the leg. Only a proxy says so: a client cannot ask for it."""

    places = Place.OPERATION_REPLY
    alignment = 1
    remote_leg_only = False
    level = Level.TCP
    code = 2


@option
class MultipathScheduler(StackOption):
    """The scheduler of MPTCP on the leg."""

    alignment = 1
    remote_leg_only = False
    level = Level.TCP
    code = 3
    scheduler: Scheduler = named(Scheduler)


@option
class AuthenticationMethods(Option):
    """The methods that a client is willing to use; a plain int when one is unknown."""

    kind = OptionKind.AUTHENTICATION_METHODS
    places = Place.REQUEST
    methods: tuple[AuthenticationMethod | int, ...]

    @property
    def body(self) -> bytes:
        return encode_methods(self.methods)

    @classmethod
    def parse(cls, body: bytes) -> Self | None:
        return cls(decode_methods(body))


@option
class UserPasswordData(draft11.UserPasswordData):
    """Authentication data: an RFC 1929 request inside the request."""

    kind = OptionKind.AUTHENTICATION_DATA
    alignment = 1


@option
class UserPasswordResult(draft11.UserPasswordResult):
    """Authentication data of the proxy: the RFC 1929 answer to `UserPasswordData`."""

    kind = OptionKind.AUTHENTICATION_DATA
    alignment = 1


class IdempotenceOption(Option):
    """An option of kind 4: a type octet, then what it says."""

    __slots__ = ()
    kind = OptionKind.IDEMPOTENCE
    alignment = 1
    type_octet: ClassVar[int]

    @property
    def body(self) -> bytes:
        return bytes((self.type_octet,)) + self.layout.pack(self)

    @classmethod
    def parse(cls, body: bytes) -> Self | None:
        return cls(*cls.layout.unpack(body[1:]))


@option
class IdempotenceRequest(IdempotenceOption):
    """The client would like a window of `size` tokens."""

    places = Place.REQUEST
    type_octet = 0
    size: int = number(4, least=1, most=LARGEST_WINDOW)


@option
class IdempotenceWindow(IdempotenceOption):
    """The tokens that may be spent: `size` of them from `base` on, modulo 2^32."""

    places = EITHER_REPLY
    type_octet = 1
    base: int = number(4)
    size: int = number(4, least=1, most=LARGEST_WINDOW)


@option
class IdempotenceExpenditure(IdempotenceOption):
    """The token that this request spends."""

    places = Place.REQUEST
    type_octet = 2
    token: int = number(4)


@option
class IdempotenceReply(IdempotenceOption):
    """What became of the token that the request spent."""

    places = EITHER_REPLY
    type_octet = 3
    expenditure: Expenditure = named(Expenditure)


OPTIONS: tuple[type[Option], ...] = (AuthenticationMethods, UserPasswordData, UserPasswordResult)
"""Every option that its kind tells, in one place of a conversation."""
STACK_OPTIONS: dict[int, type[StackOption]] = {
    option.code: option for option in (TcpFastOpen, Multipath, MultipathScheduler)
}
"""By code; their level is TCP."""
IDEMPOTENCE_OPTIONS: dict[int, type[IdempotenceOption]] = {
    option.type_octet: option
    for option in (IdempotenceRequest, IdempotenceWindow, IdempotenceExpenditure, IdempotenceReply)
}
"""By type."""
