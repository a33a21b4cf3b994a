"""Taking clients from one address."""

from __future__ import annotations

import errno
from socket import (
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPV6_V6ONLY,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_FASTOPEN,
    TCP_NODELAY,
    SocketType,
    socket,
)
from typing import TYPE_CHECKING

from codec.socks6.dialect import Dialects, Draft04, Draft11
from proxy.loop import LISTENER_EVENTS
from proxy.mptcp import IPPROTO_MPTCP
from proxy.options import Draft, HostPort, Listen, StartError

if TYPE_CHECKING:
    from proxy.worker import Worker

BACKLOG = 4096
"""Bounded by net.core.somaxconn, too."""
ACCEPTS_PER_TURN = 64
FAST_OPEN_QUEUE = 256
"""Fast Open connections whose handshake is not complete yet (RFC 7413)."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def listening_socket(listen: Listen, port: int, *, multipath: bool) -> socket:
    """A socket that listens on `port` of the address, as others of this user may, too. Raises StartError."""
    address = listen.address
    sock = None
    try:
        sock = _new_socket(address, multipath=multipath)
        sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        sock.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
        if ":" in address.host:
            sock.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1)
        sock.bind((address.host, port))
        prepare(sock, listen)
        sock.listen(BACKLOG)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise StartError(f"cannot listen on {address}: {error.strerror}") from error
    return sock


def prepare(sock: SocketType, listen: Listen) -> None:
    """Set what accepted sockets inherit: a system call saved for each. Raises OSError."""
    sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    if listen.fast_open:
        take_fast_open(sock, take=True)


def take_fast_open(sock: SocketType, *, take: bool) -> None:
    """Whether data in a SYN is taken, as far as net.ipv4.tcp_fastopen allows. Raises OSError."""
    sock.setsockopt(IPPROTO_TCP, TCP_FASTOPEN, FAST_OPEN_QUEUE if take else 0)


def _new_socket(address: HostPort, *, multipath: bool) -> socket:
    kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC
    if multipath:
        try:
            return socket(address.family, kind, IPPROTO_MPTCP)
        except OSError:
            pass  # a kernel without MPTCP, or with it switched off: plain TCP serves every client
    return socket(address.family, kind, 0)


class Listener:
    """The handler of a listening socket. Level-triggered: what one turn leaves, the next brings again."""

    def __init__(self, worker: Worker, sock: SocketType, listen: Listen) -> None:
        self._worker = worker
        self._socket = sock
        dialect = Draft04 if listen.draft is Draft.DRAFT_04 else Draft11
        self.dialects: Dialects = {version: dialect(version) for version in listen.versions}
        self.tls = listen.tls
        self._accepting = False

    def resume(self) -> None:
        """Accept from now on."""
        if not self._accepting:
            self._accepting = True
            self._worker.loop.add(self._socket.fileno(), self, LISTENER_EVENTS)

    def pause(self) -> None:
        """Leave clients in the kernel's queue."""
        if self._accepting:
            self._accepting = False
            self._worker.loop.remove(self._socket.fileno())

    def close(self) -> None:
        """Take who waits already, and nobody after."""
        if self._accepting:
            self.ready(LISTENER_EVENTS)
        self.pause()
        self._socket.close()

    def ready(self, _mask: int) -> None:
        worker, family = self._worker, self._socket.family
        # SocketType and its _accept are what socket.socket wraps in Python, at two microseconds for each connection.
        accept = self._socket._accept  # type: ignore[attr-defined]
        for _ in range(ACCEPTS_PER_TURN):
            try:
                fd, peer = accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    worker.pause_accepting()
                    return
                continue  # that one client went away before it was taken (accept(2) lists many such errors)
            if not worker.admit(SocketType(family, SOCK_STREAM, 0, fd), peer, self):
                return

    def crashed(self, error: Exception) -> None:
        raise error
