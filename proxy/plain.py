"""The session's end of the pair that stands for a client behind TLS (`proxy.tls` has the other)."""

from __future__ import annotations

from socket import SO_ERROR, SO_LINGER, SOCK_STREAM, SOL_SOCKET, SocketType
from struct import Struct
from typing import Any

DESCRIPTORS = 3
"""For each client behind TLS: its socket and the pair."""
LINGER = Struct("ii")
CLOSE_WITH_RESET = LINGER.pack(1, 0)


class Plain(SocketType):
    """Options that are set on it are set on the client's socket.

    So is the wish to close with a reset (SO_LINGER), and there `Termination` finds it when this end is closed.
    """

    __slots__ = ("_outer", "_owns_outer", "cut")

    def __init__(self, fd: int, outer: SocketType, *, owns_outer: bool = False) -> None:
        # For stack options the family must be the client's, and for MPTCP the protocol.
        super().__init__(outer.family, SOCK_STREAM, outer.proto, fd)
        self._outer = outer
        self._owns_outer = owns_outer
        self.cut = False
        """Set when the client's connection breaks."""

    @classmethod
    def of(cls, end: int, outer: int) -> Plain:
        """The same in the process that `descriptors` were sent to."""
        return cls(end, SocketType(-1, -1, -1, outer), owns_outer=True)

    @property
    def descriptors(self) -> tuple[int, int]:
        return self.fileno(), self._outer.fileno()

    def was_cut(self) -> bool:
        """Whether the stream from the client has ended because its connection broke, not by its word."""
        # In another process than the termination's, the option that it sets on the client's socket tells.
        return self.cut or (self._owns_outer and is_to_reset(self._outer))

    def setsockopt(self, *option: Any) -> None:
        """Does nothing when the client has gone already."""
        if self._outer.fileno() >= 0:
            self._outer.setsockopt(*option)

    def getsockopt(self, *option: Any) -> Any:
        return super().getsockopt(*option) if option[:2] == (SOL_SOCKET, SO_ERROR) else self._outer.getsockopt(*option)

    def getsockname(self) -> Any:
        return self._outer.getsockname()

    def getpeername(self) -> Any:
        return self._outer.getpeername()

    def close(self) -> None:
        super().close()
        if self._owns_outer:
            self._outer.close()


def is_to_reset(sock: SocketType) -> bool:
    """Whether closing the socket sends a reset."""
    return sock.getsockopt(SOL_SOCKET, SO_LINGER, LINGER.size) == CLOSE_WITH_RESET
