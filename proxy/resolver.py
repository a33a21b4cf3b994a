"""Names to addresses without stopping the loop: `getaddrinfo` in a few threads, results posted back."""

from __future__ import annotations

import socket
from queue import Full, Queue
from threading import Thread
from typing import Protocol, TypeAlias

from proxy.loop import Loop

THREADS = 4
LONGEST_QUEUE = 256

Candidate: TypeAlias = tuple[int, str]
"""An address family and an address in text form."""


class Asker(Protocol):
    """Who wants to know. `answered` and `crashed` are called in the loop, `still_wanted` in any thread."""

    def answered(self, found: list[Candidate], /) -> None:
        """An empty list: there is no such name, or nobody who could tell."""

    def still_wanted(self) -> bool: ...

    def crashed(self, error: Exception, /) -> None: ...


class Answer:
    """A result on its way back into the loop."""

    __slots__ = ("_asker", "_found")

    def __init__(self, asker: Asker, found: list[Candidate]) -> None:
        self._asker = asker
        self._found = found

    def ready(self, _mask: int) -> None:
        self._asker.answered(self._found)

    def crashed(self, error: Exception) -> None:
        self._asker.crashed(error)


class Resolver:
    """The queue is bounded, and a question whose asker gave up is skipped, so a resolver that hangs holds up little.

    Timeouts are the asker's: a thread cannot be stopped in the middle of `getaddrinfo`.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._queue: Queue[tuple[bytes, Asker]] = Queue(LONGEST_QUEUE)
        self._started = False

    def ask(self, name: bytes, asker: Asker) -> bool:
        """Look up a name as it stands on the wire. False when too many questions wait already."""
        if not self._started:
            self._started = True
            for _ in range(THREADS):
                Thread(target=self._answer_all, daemon=True).start()
        try:
            self._queue.put_nowait((name, asker))
        except Full:
            return False
        return True

    def _answer_all(self) -> None:
        while True:
            name, asker = self._queue.get()
            if asker.still_wanted():
                self._loop.post(Answer(asker, look_up(name)))


def look_up(name: bytes) -> list[Candidate]:
    """The addresses of both families, best first (RFC 6724, as the C library sorts them); empty when there are none."""
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        return []
    return [(int(family), str(address[0])) for family, _, _, _, address in answers]
