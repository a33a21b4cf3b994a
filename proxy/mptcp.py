"""Multipath TCP sockets, and the truth about them. Numbers from linux/mptcp.h; Python 3.11 does not name them all."""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from socket import SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, SocketType

from proxy.sources import Sources

IPPROTO_MPTCP = 262
SOL_MPTCP = 284
MPTCP_INFO = 1
_FLAGS = struct.Struct("@8xI")
_INFO_FLAG_FALLBACK = 1

_KERNEL_HAS_NONE = (errno.EPROTONOSUPPORT, errno.EINVAL)
_SWITCHED_OFF = errno.ENOPROTOOPT
_OUTWARD = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC


def is_multipath(sock: SocketType) -> bool:
    """Whether a connected socket that was made for MPTCP speaks it with its peer.

    `SO_PROTOCOL` says 262 even after a fallback to TCP; `MPTCP_INFO` fails with EOPNOTSUPP then.
    """
    if sock.proto != IPPROTO_MPTCP:
        return False
    try:
        info = sock.getsockopt(SOL_MPTCP, MPTCP_INFO, _FLAGS.size)
    except OSError:
        return False
    return not _FLAGS.unpack(info)[0] & _INFO_FLAG_FALLBACK


class OutwardSockets:
    """Makes non-blocking sockets: MPTCP when it is wanted and the kernel has it, else TCP."""

    __slots__ = ("_multipath", "sources")

    def __init__(self, *, multipath: bool, sources: Sequence[str] = ()) -> None:
        self._multipath = multipath
        self.sources = Sources(sources)
        """Where the sockets may begin."""

    def open(self, family: int, *, multipath: bool) -> SocketType:
        """Raises OSError."""
        if multipath and self._multipath:
            try:
                return SocketType(family, _OUTWARD, IPPROTO_MPTCP)
            except OSError as error:
                # Switched off by sysctl may be switched on again: only a kernel without MPTCP is not asked again.
                if error.errno in _KERNEL_HAS_NONE:
                    self._multipath = False
                elif error.errno != _SWITCHED_OFF:
                    raise
        return SocketType(family, _OUTWARD, 0)
