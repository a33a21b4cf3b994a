"""What the kernel knows about an accepted connection: is it MPTCP, and how many subflows has it."""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass

IPPROTO_MPTCP = 262
SOL_MPTCP = 284
MPTCP_INFO = 1
FLAG_FALLBACK = 1 << 0

# struct mptcp_info of include/uapi/linux/mptcp.h, as far as the token.
HEAD = struct.Struct("=6B2xII")
BUFFER = 256


@dataclass(frozen=True, slots=True)
class Connection:
    """One accepted connection, from the server's side."""

    mptcp: bool
    subflows: int | None
    """Subflows that exist now, the first included; None without MPTCP."""
    token: str | None
    """The server's token (RFC 8684, 2.2), 8 hex digits; None without MPTCP."""


PLAIN = Connection(mptcp=False, subflows=None, token=None)


def inspect(accepted: socket.socket) -> Connection:
    """Ask the kernel.

    A client that never spoke MPTCP leaves a plain TCP socket behind `accept`, which knows no MPTCP_INFO (EOPNOTSUPP);
    one whose options were lost on the way leaves an MPTCP socket in fallback.
    """
    try:
        info = accepted.getsockopt(SOL_MPTCP, MPTCP_INFO, BUFFER)
    except OSError as error:
        if error.errno in {errno.EOPNOTSUPP, errno.ENOPROTOOPT}:
            return PLAIN
        raise
    additional, *_, flags, token = HEAD.unpack_from(info)
    if flags & FLAG_FALLBACK:
        return PLAIN
    return Connection(mptcp=True, subflows=additional + 1, token=f"{token:08x}")
