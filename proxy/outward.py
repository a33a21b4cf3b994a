"""Connecting outward: the addresses of a destination in turn, until one answers."""

from __future__ import annotations

from errno import EINPROGRESS, EINVAL, ETIMEDOUT
from select import EPOLLERR, EPOLLHUP
from socket import SO_ERROR, SOL_SOCKET, SocketType
from typing import TYPE_CHECKING

from proxy.outcome import reply_code
from proxy.resolver import Candidate

if TYPE_CHECKING:
    from proxy.session import Session


class Attempt:
    """The connection attempts of one session, and the handler of the socket that is being connected.

    Tells the session `connected` or, with the outcome of the last address, `refuse`.
    """

    __slots__ = ("_candidates", "_port", "_session", "_socket")

    def __init__(self, session: Session, candidates: list[Candidate], port: int) -> None:
        self._session = session
        self._candidates = iter(candidates)
        self._port = port
        self._socket: SocketType | None = None

    def begin(self, error: int = 0) -> None:
        """Try the next address; `error` is the errno that the one before ended with."""
        session = self._session
        for family, host in self._candidates:
            sock = None
            try:
                sock = session.worker.sockets.open(family, multipath=session.wants_multipath)
                error = sock.connect_ex((host, self._port))
            except OSError as problem:
                error = problem.errno or EINVAL
            if sock is None:
                continue
            if error in (0, EINPROGRESS):
                self._socket = sock
                session.waiting_since = session.worker.loop.now
                session.worker.loop.add(sock.fileno(), self)
                return
            sock.close()
        session.refuse(reply_code(error))

    def ready(self, mask: int) -> None:
        sock = self._socket
        assert sock is not None
        if mask & (EPOLLERR | EPOLLHUP):
            error = sock.getsockopt(SOL_SOCKET, SO_ERROR)
            if error:
                self._fail(error)
                return
        self._socket = None
        self._session.reached(sock, mask)

    def crashed(self, error: Exception) -> None:
        self._session.crashed(error)

    def expired(self) -> None:
        """The address took too long."""
        self._fail(ETIMEDOUT)

    def cancel(self) -> None:
        """The client has gone."""
        if self._socket is not None:
            self._session.worker.loop.bury(self._socket)
            self._socket = None

    def _fail(self, error: int) -> None:
        self.cancel()
        self.begin(error)
