"""Reply codes: how a proxy says what became of a request."""

from __future__ import annotations

from enum import IntEnum


class ReplyCode(IntEnum):
    """SOCKSv6 draft-11 "Operation Replies"; 0 to 8 are those of SOCKS 5 (RFC 1928 section 6)."""

    SUCCEEDED = 0
    GENERAL_FAILURE = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    CONNECTION_REFUSED = 5
    TTL_EXPIRED = 6
    COMMAND_NOT_SUPPORTED = 7
    ADDRESS_TYPE_NOT_SUPPORTED = 8
    TIMED_OUT = 9
    """SOCKSv6 only: SOCKS 5 says `HOST_UNREACHABLE` for it."""


REPLY_CODES: dict[int, ReplyCode] = {code.value: code for code in ReplyCode}
"""By octet."""
