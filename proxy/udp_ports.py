"""Ports for relayed datagrams: the one that a client wants, or one of the parity that it wants, and its neighbour kept
for a second association (draft-11 "Port Parity options"; what RTP and RTCP need)."""

from __future__ import annotations

from errno import EACCES, EADDRINUSE
from socket import (
    AF_INET6,
    IPPROTO_IPV6,
    IPV6_V6ONLY,
    SO_RCVBUF,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_NONBLOCK,
    SOL_SOCKET,
    SocketType,
)

from codec.socks6.stack import Parity, PortParity

FIRST_OPEN_PORT = 1024
"""Those below are for services of this host: a client must not pose as one, whatever rights the proxy has."""
ATTEMPTS = 16
DATAGRAM = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC


def datagram_socket(family: int) -> SocketType:
    """A UDP socket of one family only. Raises OSError."""
    sock = SocketType(family, DATAGRAM)
    if family == AF_INET6:
        sock.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1)
    return sock


def bound_socket(family: int, host: str, port: int) -> SocketType:
    """The same, bound. Raises OSError."""
    sock = datagram_socket(family)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def check_port(port: int) -> None:
    """Raises OSError for a port that no client may have."""
    if 0 < port < FIRST_OPEN_PORT:
        raise PermissionError(EACCES, f"port {port} is for services of this host")


class Reservation:
    """A port that is kept: bound, and nobody reads from it."""

    __slots__ = ("_ports", "_socket", "key", "owner")

    def __init__(self, ports: Ports, sock: SocketType, owner: object) -> None:
        sock.setsockopt(SOL_SOCKET, SO_RCVBUF, 0)  # the kernel makes it its least
        self._ports = ports
        self._socket = sock
        self.owner = owner
        self.key = sock.family, sock.getsockname()[1]

    def release(self) -> None:
        """Safe to call again."""
        if self._ports.reserved.get(self.key) is self:
            del self._ports.reserved[self.key]
            self._socket.close()


class Ports:
    """One per process."""

    def __init__(self) -> None:
        self.reserved: dict[tuple[int, int], Reservation] = {}
        """By family and port."""

    def bind(
        self, family: int, host: str, port: int, wish: PortParity | None, owner: object | None
    ) -> tuple[SocketType, Reservation | None]:
        """A socket on the port, or on one of the wished parity if that is 0; and its neighbour, if it is reserved.

        `owner` is who may claim what is reserved, by asking for that very port; None: nothing is reserved for it.
        Raises OSError.
        """
        check_port(port)
        kept = self.reserved.get((family, port))
        if kept is not None:
            if owner is None or kept.owner != owner:
                raise OSError(EADDRINUSE, "the port is reserved")
            kept.release()
        if wish is None or (wish.parity is Parity.NONE and not wish.reserve):
            return bound_socket(family, host, port), None
        reserving = owner if wish.reserve else None
        if port:
            sock = bound_socket(family, host, port)
            return sock, self._reserve(_neighbour(sock, host), reserving)
        return self._search(family, host, wish.parity, reserving)

    def _search(
        self, family: int, host: str, parity: Parity, owner: object | None
    ) -> tuple[SocketType, Reservation | None]:
        """Take ports from the kernel until one fits; failing that, the last it gave."""
        for attempt in range(ATTEMPTS):
            sock = bound_socket(family, host, 0)
            fits = fits_parity(sock.getsockname()[1], parity)
            other = None if fits and owner is None else _neighbour(sock, host)
            if not fits and other is not None:
                sock, other, fits = other, sock, True
            if fits and other is not None and owner is not None:
                return sock, self._reserve(other, owner)
            if other is not None:
                other.close()
            if (fits and owner is None) or attempt == ATTEMPTS - 1:
                break
            sock.close()
        return sock, None

    def _reserve(self, sock: SocketType | None, owner: object | None) -> Reservation | None:
        if sock is None:
            return None
        if owner is None:
            sock.close()
            return None
        reservation = Reservation(self, sock, owner)
        self.reserved[reservation.key] = reservation
        return reservation


def fits_parity(port: int, parity: Parity) -> bool:
    return parity is Parity.NONE or parity is parity_of(port)


def parity_of(port: int) -> Parity:
    return Parity.ODD if port & 1 else Parity.EVEN


def _neighbour(sock: SocketType, host: str) -> SocketType | None:
    """On the counterpart of an even port, the next higher; of an odd one, the next lower. None if it is taken."""
    try:
        return bound_socket(sock.family, host, sock.getsockname()[1] ^ 1)
    except OSError:
        return None
