"""The event loop: epoll, and nothing between it and the handlers.

Connections are registered once, edge-triggered, for everything; handlers read until the kernel has no more. Sockets
that a handler gives up are closed when the whole batch of events is done, so that no event of the batch can reach a new
socket under an old number.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from select import EPOLLET, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, epoll
from socket import SocketType
from threading import RLock
from time import monotonic
from typing import Protocol

EVENTS_PER_TURN = 256
CONNECTION_EVENTS = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET
LISTENER_EVENTS = EPOLLIN


class Handler(Protocol):
    """What a file descriptor's events go to."""

    def ready(self, mask: int, /) -> None:
        """`mask` holds the EPOLL* bits that are set; 0 when it is a timer that is due."""

    def crashed(self, error: Exception) -> None:
        """`ready` raised what it should not have: drop the connection, keep the others."""


class Loop:
    """One per process."""

    def __init__(self, *, tick_seconds: float, on_tick: Callable[[], None]) -> None:
        self.now = monotonic()
        self.handlers: dict[int, Handler] = {}
        self._epoll = epoll()
        self._doomed: list[SocketType] = []
        self._again: list[tuple[Handler, int]] = []
        self._posted: deque[Handler] = deque()
        self._timers: list[tuple[float, int, Handler]] = []
        self._timer_numbers = count()
        self._tick_seconds = tick_seconds
        self._on_tick = on_tick
        self._stopping = False
        # Reentrant: a signal handler may post while the code that it interrupts does.
        self._closing = RLock()
        self._closed = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, EPOLLIN)
        self.handlers[self._wake] = self

    def add(self, fd: int, handler: Handler, events: int = CONNECTION_EVENTS) -> None:
        """Send the events of `fd` to `handler`. To hand over to another handler later, replace it in `handlers`."""
        self.handlers[fd] = handler
        self._epoll.register(fd, events)

    def remove(self, fd: int) -> None:
        """Stop watching `fd`, which stays open."""
        del self.handlers[fd]
        self._epoll.unregister(fd)

    def bury(self, sock: SocketType) -> None:
        """Stop watching a socket at once and close it after this turn."""
        self.handlers.pop(sock.fileno(), None)
        self._doomed.append(sock)

    def again(self, handler: Handler, mask: int = EPOLLIN) -> None:
        """Call `handler.ready(mask)` once the events at hand are done."""
        self._again.append((handler, mask))

    def call_at(self, when: float, handler: Handler) -> None:
        """Call `handler.ready(0)` when `now` has reached `when`, to the millisecond.

        A timer is not taken back, so that those which are hardly ever due cost little: the handler looks whether it
        still cares.
        """
        heappush(self._timers, (when, next(self._timer_numbers), handler))

    def post(self, handler: Handler) -> None:
        """Like `again`, and the one method that other threads and signal handlers may call, also when it is closed."""
        with self._closing:
            if not self._closed:
                self._posted.append(handler)
                os.eventfd_write(self._wake, 1)

    def stop(self) -> None:
        self._stopping = True

    def run(self) -> None:
        """Handle events until `stop`."""
        poll, handlers, timers = self._epoll.poll, self.handlers, self._timers
        next_tick = monotonic() + self._tick_seconds
        while not self._stopping:
            until = min(next_tick, timers[0][0]) if timers else next_tick
            events = poll(0 if self._again else max(0.0, until - monotonic()), EVENTS_PER_TURN)
            self.now = now = monotonic()
            for fd, mask in events:
                handler = handlers.get(fd)
                if handler is not None:
                    try:  # what `_call` does, without the call
                        handler.ready(mask)
                    except Exception as error:  # noqa: BLE001 -- see there
                        handler.crashed(error)
            if timers and timers[0][0] <= now:
                self._run_due()
            if self._again:
                self._run_again()
            if self._doomed:
                self._close_doomed()
            if now >= next_tick:
                next_tick = now + self._tick_seconds
                self._on_tick()
        self._close_doomed()

    def close(self) -> None:
        """Give back the loop's descriptors. What a thread still posts is dropped, not written to a reused number."""
        with self._closing:
            self._closed = True
            self._epoll.close()
            os.close(self._wake)

    def ready(self, _mask: int) -> None:
        """The loop is itself a handler: of the descriptor that `post` writes to."""
        os.eventfd_read(self._wake)
        while self._posted:
            self.again(self._posted.popleft())

    def crashed(self, error: Exception) -> None:
        raise error

    @staticmethod
    def _call(handler: Handler, mask: int) -> None:
        try:
            handler.ready(mask)
        except Exception as error:  # noqa: BLE001 -- a defect met by one connection must not end all the others
            handler.crashed(error)

    def _run_due(self) -> None:
        timers, now = self._timers, self.now
        while timers and timers[0][0] <= now:
            self._call(heappop(timers)[2], 0)

    def _run_again(self) -> None:
        again, self._again = self._again, []
        for handler, mask in again:
            self._call(handler, mask)

    def _close_doomed(self) -> None:
        for sock in self._doomed:
            sock.close()
        self._doomed.clear()
