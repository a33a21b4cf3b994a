"""From the kernel's errors to reply codes (the mapping that SOCKSv6's authors use)."""

from __future__ import annotations

import errno

from codec.reply import ReplyCode

_CODES = {
    errno.EACCES: ReplyCode.NOT_ALLOWED,
    errno.EPERM: ReplyCode.NOT_ALLOWED,
    errno.ENETUNREACH: ReplyCode.NETWORK_UNREACHABLE,
    errno.ENETDOWN: ReplyCode.NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: ReplyCode.HOST_UNREACHABLE,
    errno.EHOSTDOWN: ReplyCode.HOST_UNREACHABLE,
    errno.ECONNREFUSED: ReplyCode.CONNECTION_REFUSED,
    errno.ETIMEDOUT: ReplyCode.TIMED_OUT,
    errno.EAFNOSUPPORT: ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED,
}


def reply_code(error: int) -> ReplyCode:
    """The reply code for the errno of a failed connection."""
    return _CODES.get(error, ReplyCode.GENERAL_FAILURE)
