"""From the kernel's errors to reply codes (the mapping that SOCKSv6's authors use)."""

from __future__ import annotations

import errno
from socket import AF_INET6, IPPROTO_IP, IPPROTO_IPV6, MSG_DONTWAIT, MSG_ERRQUEUE, SocketType
from struct import Struct

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

_TELLING = (
    ReplyCode.CONNECTION_REFUSED, ReplyCode.TTL_EXPIRED, ReplyCode.NOT_ALLOWED, ReplyCode.TIMED_OUT,
    ReplyCode.HOST_UNREACHABLE, ReplyCode.NETWORK_UNREACHABLE, ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED,
    ReplyCode.GENERAL_FAILURE,
)  # fmt: skip
"""What came from farther away says more: a host without IPv6 fails at every IPv6 address, which tells nothing."""

_IP_RECVERR = 11
_IPV6_RECVERR = 25
_EXTENDED_ERROR = Struct("@IBBBBII")
"""struct sock_extended_err of linux/errqueue.h: errno, origin, type, code, pad, info, data."""
_TIME_EXCEEDED = ((2, 11), (3, 3))
"""Origin and ICMP type: from ICMP (RFC 792) and from ICMPv6 (RFC 4443)."""


def reply_code(error: int) -> ReplyCode:
    """The reply code for the errno of a failed connection."""
    return _CODES.get(error, ReplyCode.GENERAL_FAILURE)


def most_telling(one: ReplyCode, other: ReplyCode) -> ReplyCode:
    """Of two failures to reach one destination the one to report."""
    return min(one, other, key=_TELLING.index)


def keep_icmp(sock: SocketType, *, keep: bool) -> None:
    """Whether the kernel keeps ICMP errors for `ttl_expired` to read. Not while connected: there they end a connection
    that would outlive them."""
    if sock.family == AF_INET6:
        sock.setsockopt(IPPROTO_IPV6, _IPV6_RECVERR, keep)
    else:
        sock.setsockopt(IPPROTO_IP, _IP_RECVERR, keep)


def ttl_expired(sock: SocketType) -> bool:
    """Whether the TTL was too small for a connection attempt: its errno is that of an unreachable host."""
    try:
        _, ancillary, _, _ = sock.recvmsg(0, 256, MSG_ERRQUEUE | MSG_DONTWAIT)
    except OSError:
        return False
    return any(
        len(data) >= _EXTENDED_ERROR.size and _EXTENDED_ERROR.unpack_from(data)[1:3] in _TIME_EXCEEDED
        for _, _, data in ancillary
    )
