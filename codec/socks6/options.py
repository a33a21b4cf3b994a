"""The options of draft-11 other than stack options (its section "SOCKS Options")."""

from __future__ import annotations

from dataclasses import field
from enum import IntEnum
from typing import ClassVar, Self, TypeVar

from codec import rfc1929
from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError
from codec.method import METHODS, AuthenticationMethod
from codec.socks6.option import Option, OptionKind, Place, named, number, option

LARGEST_INITIAL_DATA = 16384
"""Octets of initial data before an authentication (draft-11: "MUST NOT exceed 2^14")."""
LARGEST_WINDOW = 2**31 - 1
"""Tokens in an idempotence window."""
LARGEST_SESSION_ID = 16384 - 4
"""Octets: what fits in the options of one message."""

MessageT = TypeVar("MessageT")


class MisplacedDataError(RemoteProtocolError):
    """An option leaves in doubt where the data behind the message start: the whole message is refused."""


def encode_methods(methods: tuple[AuthenticationMethod | int, ...]) -> bytes:
    """An octet for each."""
    try:
        return bytes(methods)
    except ValueError:
        raise LocalProtocolError("a method is a number from 0 to 255") from None


def decode_methods(octets: bytes) -> tuple[AuthenticationMethod | int, ...]:
    """The methods; a plain int where one is unknown."""
    return tuple(METHODS.get(method, method) for method in octets)


def _is_for_user_password(body: bytes) -> bool:
    """Whether authentication data are ours to read. Those of an unknown method are ignored."""
    if not body or body[0] == AuthenticationMethod.NONE:
        raise RemoteProtocolError("authentication data for no method")
    return body[0] == AuthenticationMethod.USER_PASSWORD


def _whole(decoded: tuple[MessageT, int] | NeedData, length: int, alignment: int) -> MessageT:
    """The message that an option body of `length` octets holds behind its method octet, padded to the alignment."""
    if decoded is NEED_DATA or length - 1 - decoded[1] >= alignment:
        raise RemoteProtocolError("authentication data do not fit their option")
    return decoded[0]


@option
class AuthenticationMethodAdvertisement(Option):
    """The methods that a client is willing to use, and the octets of initial data that follow its request.

    A method is a plain int when it is unknown. `NONE` need not be named: it is always offered, and at the end of the
    list it cannot be told from padding.
    """

    kind = OptionKind.AUTHENTICATION_METHOD_ADVERTISEMENT
    places = Place.REQUEST
    initial_data_length: int = number(2, most=LARGEST_INITIAL_DATA)
    methods: tuple[AuthenticationMethod | int, ...]

    @property
    def body(self) -> bytes:
        if not 0 <= self.initial_data_length <= LARGEST_INITIAL_DATA:
            raise LocalProtocolError(f"initial data are at most {LARGEST_INITIAL_DATA} octets")
        return self.padded(self.initial_data_length.to_bytes(2, "big") + encode_methods(self.methods))

    @classmethod
    def parse(cls, body: bytes) -> Self | None:
        if len(body) < 4:
            raise RemoteProtocolError("an advertisement without methods")
        initial_data_length = body[0] << 8 | body[1]
        if initial_data_length > LARGEST_INITIAL_DATA:
            raise MisplacedDataError(f"initial data of {initial_data_length} octets, at most {LARGEST_INITIAL_DATA}")
        return cls(initial_data_length, decode_methods(body[2:].rstrip(b"\0")))


@option
class AuthenticationMethodSelection(Option):
    """The method that must be used; a plain int when it is unknown. `NONE_ACCEPTABLE` ends the conversation."""

    kind = OptionKind.AUTHENTICATION_METHOD_SELECTION
    places = Place.AUTHENTICATION_REPLY
    method: AuthenticationMethod | int = named(AuthenticationMethod, others=True)


@option
class UserPasswordData(Option):
    """Authentication data: an RFC 1929 request inside the request, so that no round trip is spent on it."""

    kind: ClassVar[IntEnum] = OptionKind.AUTHENTICATION_DATA
    places = Place.REQUEST
    user: bytes
    password: bytes = field(repr=False)

    @property
    def body(self) -> bytes:
        message = rfc1929.encode_user_password(rfc1929.UserPassword(self.user, self.password))
        return self.padded(bytes((AuthenticationMethod.USER_PASSWORD,)) + message)

    @classmethod
    def parse(cls, body: bytes) -> Self | None:
        if not _is_for_user_password(body):
            return None
        message = _whole(rfc1929.decode_user_password(body[1:]), len(body), cls.alignment)
        return cls(message.user, message.password)


@option
class UserPasswordResult(Option):
    """Authentication data of the proxy: the RFC 1929 answer to `UserPasswordData`."""

    kind: ClassVar[IntEnum] = OptionKind.AUTHENTICATION_DATA
    places = Place.AUTHENTICATION_REPLY
    success: bool

    @property
    def body(self) -> bytes:
        status = rfc1929.encode_status(rfc1929.UserPasswordStatus(self.success))
        return self.padded(bytes((AuthenticationMethod.USER_PASSWORD,)) + status)

    @classmethod
    def parse(cls, body: bytes) -> Self | None:
        if not _is_for_user_password(body):
            return None
        return cls(_whole(rfc1929.decode_status(body[1:]), len(body), cls.alignment).success)


@option
class SessionRequest(Option):
    """The client would like a session (draft-11 "Sessions")."""

    kind = OptionKind.SESSION_REQUEST
    places = Place.REQUEST


@option
class SessionId(Option):
    """The session that a request belongs to, or that was begun. It replaces authentication: a secret.

    The draft contradicts itself on which reply tells it. It is sent in the authentication reply and taken from either.
    """

    kind = OptionKind.SESSION_ID
    places = Place.REQUEST | Place.AUTHENTICATION_REPLY | Place.OPERATION_REPLY
    id: bytes = field(repr=False)

    @property
    def body(self) -> bytes:
        if not 0 < len(self.id) <= LARGEST_SESSION_ID or len(self.id) % 4:
            raise LocalProtocolError(f"a session ID has 4 to {LARGEST_SESSION_ID} octets, a multiple of 4")
        return self.id

    @classmethod
    def parse(cls, body: bytes) -> Self | None:
        if not body:
            raise RemoteProtocolError("an empty session ID")
        return cls(body)


@option
class SessionOk(Option):
    """The request is taken as part of its session."""

    kind = OptionKind.SESSION_OK
    places = Place.AUTHENTICATION_REPLY


@option
class SessionInvalid(Option):
    """There is no such session."""

    kind = OptionKind.SESSION_INVALID
    places = Place.AUTHENTICATION_REPLY


@option
class SessionTeardown(Option):
    """The client ends the session that the request names."""

    kind = OptionKind.SESSION_TEARDOWN
    places = Place.REQUEST


@option
class IdempotenceRequest(Option):
    """The client would like a window of `size` tokens (draft-11 "Idempotence options")."""

    kind = OptionKind.IDEMPOTENCE_REQUEST
    places = Place.REQUEST
    size: int = number(4, least=1, most=LARGEST_WINDOW)


@option
class IdempotenceWindow(Option):
    """The tokens that may be spent: `size` of them from `base` on, modulo 2^32."""

    kind = OptionKind.IDEMPOTENCE_WINDOW
    places = Place.AUTHENTICATION_REPLY
    base: int = number(4)
    size: int = number(4, least=1, most=LARGEST_WINDOW)


@option
class IdempotenceExpenditure(Option):
    """The token that this request spends: whoever replays it finds it spent."""

    kind = OptionKind.IDEMPOTENCE_EXPENDITURE
    places = Place.REQUEST
    token: int = number(4)


@option
class IdempotenceAccepted(Option):
    """The token was not spent before."""

    kind = OptionKind.IDEMPOTENCE_ACCEPTED
    places = Place.AUTHENTICATION_REPLY


@option
class IdempotenceRejected(Option):
    """The token was spent before, or is outside the window."""

    kind = OptionKind.IDEMPOTENCE_REJECTED
    places = Place.AUTHENTICATION_REPLY


OPTIONS: tuple[type[Option], ...] = (
    AuthenticationMethodAdvertisement, AuthenticationMethodSelection, UserPasswordData, UserPasswordResult,
    SessionRequest, SessionId, SessionOk, SessionInvalid, SessionTeardown,
    IdempotenceRequest, IdempotenceWindow, IdempotenceExpenditure, IdempotenceAccepted, IdempotenceRejected,
)  # fmt: skip
"""Every option but the stack options."""
