"""User name and password authentication for SOCKS 5 (RFC 1929), which SOCKSv6 carries in an option."""

from __future__ import annotations

from dataclasses import dataclass, field

from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError

VERSION = 1
_LONGEST_FIELD = 255
# RFC 1929 gives a field 1 to 255 octets, but curl and others send empty ones, and a proxy may well have an account
# without a password: an empty field is taken and sent like any other.


@dataclass(frozen=True, slots=True)
class UserPassword:
    """What the client claims to be: 0 to 255 octets each, in no given character set."""

    user: bytes
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class UserPasswordStatus:
    """The server's answer; after a failure it must close the connection."""

    success: bool


def encode_user_password(message: UserPassword) -> bytes:
    """The client's request (RFC 1929 section 2). Raises `LocalProtocolError` for a field above 255 octets."""
    user, password = message.user, message.password
    # Without the offending value: an error is logged, and a password must not be.
    if len(user) > _LONGEST_FIELD or len(password) > _LONGEST_FIELD:
        raise LocalProtocolError(f"a user name and a password have at most {_LONGEST_FIELD} octets each")
    return b"%c%c%b%c%b" % (VERSION, len(user), user, len(password), password)


def decode_user_password(data: bytes | bytearray) -> tuple[UserPassword, int] | NeedData:
    """The client's request at the start of `data` and where it ends. Errors carry the failure status as the reply."""
    if data and data[0] != VERSION:
        what = f"a user name and password request starts with version {data[0]}"
        raise RemoteProtocolError(what, encode_status(UserPasswordStatus(success=False)))
    if len(data) < 2 or len(data) <= 2 + data[1]:
        return NEED_DATA
    user_end = 2 + data[1]
    end = user_end + 1 + data[user_end]
    if len(data) < end:
        return NEED_DATA
    return UserPassword(bytes(data[2:user_end]), bytes(data[user_end + 1 : end])), end


def encode_status(message: UserPasswordStatus) -> bytes:
    """The server's answer (RFC 1929 section 2): status 0 is success, and 1 stands for every failure."""
    return bytes((VERSION, 0 if message.success else 1))


def decode_status(data: bytes | bytearray) -> tuple[UserPasswordStatus, int] | NeedData:
    """The server's answer at the start of `data` and where it ends; any status but 0 is a failure."""
    if data and data[0] != VERSION:
        raise RemoteProtocolError(f"a user name and password status starts with version {data[0]}")
    return (UserPasswordStatus(data[1] == 0), 2) if len(data) >= 2 else NEED_DATA
