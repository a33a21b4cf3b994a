"""Listening sockets of BIND requests, and who waits for a peer at each."""

from __future__ import annotations

import errno
from collections import deque
from contextlib import suppress
from select import EPOLLIN
from socket import SOCK_STREAM, SocketType
from typing import Any, Protocol

from proxy.loop import Loop

ACCEPTS_PER_TURN = 16
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
PAUSE_SECONDS = 0.5
"""Until accepting is tried again when there were no descriptors."""


class Waiting(Protocol):
    """A BIND."""

    def expects(self, host: str, port: int, /) -> bool:
        """Whether this peer may be its."""

    def came(self, peer: SocketType, host: str, port: int, /) -> None: ...
    def closed(self) -> None:
        """Nobody can come any more."""

    def crashed(self, error: Exception, /) -> None: ...


class Door:
    """A listening socket, and the handler of its events. Peers stay in the kernel's queue until somebody waits."""

    __slots__ = ("_is_open", "_loop", "_socket", "_waiting", "_watched", "last_use")

    def __init__(self, loop: Loop, sock: SocketType) -> None:
        """`sock` listens already."""
        self._loop = loop
        self._socket = sock
        self._waiting: deque[Waiting] = deque()
        self._watched = False
        self._is_open = True
        self.last_use = loop.now

    def wait(self, one: Waiting) -> None:
        """The first to wait is the first to be served."""
        self._waiting.append(one)
        self.last_use = self._loop.now
        self._watch()

    def leave(self, one: Waiting) -> None:
        """Safe to call for one that does not wait (any more)."""
        with suppress(ValueError):
            self._waiting.remove(one)
        if not self._waiting:
            self._ignore()

    def close(self) -> None:
        """Safe to call again."""
        if not self._is_open:
            return
        self._is_open = False
        self._ignore()
        self._loop.bury(self._socket)
        waiting, self._waiting = self._waiting, deque()
        for one in waiting:
            one.closed()

    def ready(self, _mask: int) -> None:
        """Peers have come; or, called by a timer, there may be descriptors again."""
        self._watch()
        for _ in range(ACCEPTS_PER_TURN):
            if not self._waiting:
                return
            try:
                fd, address = self._socket._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._ignore()
                    self._loop.call_at(self._loop.now + PAUSE_SECONDS, self)
                    return
                continue  # that one went away before it was taken
            self._take(SocketType(self._socket.family, SOCK_STREAM, self._socket.proto, fd), address)

    def crashed(self, error: Exception) -> None:
        for one in tuple(self._waiting):
            one.crashed(error)

    def _take(self, peer: SocketType, address: tuple[Any, ...]) -> None:
        one = self._waiting[0]
        host, port = address[0].partition("%")[0], address[1]
        if not one.expects(host, port):
            peer.close()
            return
        self.last_use = self._loop.now
        self.leave(one)
        one.came(peer, host, port)

    def _watch(self) -> None:
        if self._waiting and not self._watched:
            self._watched = True
            self._loop.add(self._socket.fileno(), self, EPOLLIN)

    def _ignore(self) -> None:
        if self._watched:
            self._watched = False
            self._loop.remove(self._socket.fileno())
