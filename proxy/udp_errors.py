"""What became of datagrams that did not arrive: ICMP errors, out of a socket's error queue (ip(7), IP_RECVERR).

`proxy.outcome.keep_icmp` makes the kernel keep them.
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import EMSGSIZE
from socket import AF_INET, AF_INET6, MSG_DONTWAIT, MSG_ERRQUEUE, SocketType, inet_ntop
from struct import Struct
from sys import byteorder
from typing import NamedTuple

from codec.socks6.udp import ErrorCode

MOST_AT_ONCE = 64
_EXTENDED_ERROR = Struct("@IBBBBII")
"""struct sock_extended_err of linux/errqueue.h: errno, origin, type, code, pad, info, data; the offender's socket
address stands behind it."""
_OFFENDER: dict[int, slice] = {AF_INET: slice(4, 8), AF_INET6: slice(8, 24)}
"""Where sockaddr_in and sockaddr_in6 have the address."""

_LOCAL, _ICMP, _ICMP6 = 1, 2, 3
_ICMP_UNREACHABLE, _ICMP_TIME_EXCEEDED = 3, 11
_ICMP6_UNREACHABLE, _ICMP6_TOO_BIG, _ICMP6_TIME_EXCEEDED = 1, 2, 3
_FRAGMENTATION_NEEDED = 4
_NETWORK_CODES = frozenset((0, 6, 9, 11))
"""ICMP (RFC 792, RFC 1122): the network is unreachable, unknown, prohibited, or not for this type of service."""


class Fault(NamedTuple):
    """A datagram to `host` and `port` did not arrive, says `reporter`; empty: this host itself."""

    code: ErrorCode
    host: str
    port: int
    reporter: str


def faults(sock: SocketType) -> Iterator[Fault | None]:
    """Empty the error queue; None for what SOCKSv6 has no word for."""
    for _ in range(MOST_AT_ONCE):
        try:
            _, ancillary, _, destination = sock.recvmsg(0, 512, MSG_ERRQUEUE | MSG_DONTWAIT)
        except OSError:
            return
        yield _fault(ancillary, destination)


def _fault(ancillary: list[tuple[int, int, bytes]], destination: tuple[str, int]) -> Fault | None:
    for _, _, data in ancillary:
        if len(data) >= _EXTENDED_ERROR.size:
            error, origin, kind, detail = _EXTENDED_ERROR.unpack_from(data)[:4]
            code = _code(origin, kind, detail, error, ":" in destination[0])
            if code is not None:
                return Fault(code, destination[0], destination[1], _reporter(data[_EXTENDED_ERROR.size :]))
    return None


def _code(origin: int, kind: int, detail: int, error: int, is_ipv6: bool) -> ErrorCode | None:
    """A port that is unreachable, which the draft does not know, is told as its host: the reporter is that host, then.

    "Too big" is for IPv6 only (draft-10).
    """
    if origin == _LOCAL:
        return ErrorCode.TOO_BIG if error == EMSGSIZE and is_ipv6 else None
    if origin == _ICMP and kind == _ICMP_UNREACHABLE and detail != _FRAGMENTATION_NEEDED:
        return ErrorCode.NETWORK_UNREACHABLE if detail in _NETWORK_CODES else ErrorCode.HOST_UNREACHABLE
    if origin == _ICMP6 and kind == _ICMP6_UNREACHABLE:
        return ErrorCode.HOST_UNREACHABLE if detail else ErrorCode.NETWORK_UNREACHABLE
    if origin == _ICMP6 and kind == _ICMP6_TOO_BIG:
        return ErrorCode.TOO_BIG
    if (origin, kind) in ((_ICMP, _ICMP_TIME_EXCEEDED), (_ICMP6, _ICMP6_TIME_EXCEEDED)) and not detail:
        return ErrorCode.TTL_EXPIRED
    return None


def _reporter(sockaddr: bytes) -> str:
    family = int.from_bytes(sockaddr[:2], byteorder)
    field = _OFFENDER.get(family)
    return inet_ntop(family, sockaddr[field]) if field is not None else ""
