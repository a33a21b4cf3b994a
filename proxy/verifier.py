"""Passwords checked without stopping the loop: scrypt in a thread, results posted back; right ones remembered."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import blake2b
from hmac import compare_digest
from queue import Full, Queue
from threading import Thread
from typing import Protocol

from proxy.loop import Loop
from proxy.users import Users

LONGEST_QUEUE = 128
"""At 50 ms each the last one has its answer within the time that a handshake may take."""
REMEMBERED_SECONDS = 300.0
"""Since the last use."""
NICENESS = 10
"""A flood of wrong passwords is to slow down those who log in, not the loop, which else shares its core evenly."""


class Asker(Protocol):
    """Who has a password to check. `verified` and `crashed` are called in the loop, `still_wanted` in any thread."""

    def verified(self, right: bool, /) -> None: ...

    def still_wanted(self) -> bool:
        """Asked when its turn comes; who says no is not checked, and told `verified(False)`.

        Say no when the client has gone, and when its address has used up its failures meanwhile: else all guesses that
        come at the same moment would be heard.
        """

    def crashed(self, error: Exception, /) -> None: ...


class Verifier:
    """One for each process. Of each user one password is remembered at most, as a digest keyed for this process."""

    def __init__(self, loop: Loop, users: Users) -> None:
        self._loop = loop
        self._key = os.urandom(32)
        self._users = users
        self._remembered: dict[bytes, tuple[bytes, float]] = {}
        self._queue: Queue[tuple[bytes, bytes, Asker]] = Queue(LONGEST_QUEUE)
        self._started = False

    def known(self, user: bytes, password: bytes) -> bool:
        """Whether these were right a short while ago. Costs microseconds; False says nothing."""
        now, digest = self._loop.now, self._digest(user, password)
        there, until = self._remembered.get(user, (b"", 0.0))
        if now >= until or not compare_digest(there, digest):
            return False
        self._remembered[user] = there, now + REMEMBERED_SECONDS
        return True

    def ask(self, user: bytes, password: bytes, asker: Asker) -> bool:
        """Check a password. False when too many wait already."""
        if not self._started:
            self._started = True
            Thread(target=self._check_all, daemon=True).start()
        try:
            self._queue.put_nowait((user, password, asker))
        except Full:
            return False
        return True

    def _check_all(self) -> None:
        with suppress(OSError):  # a sandbox may forbid it
            os.nice(NICENESS)  # Of this thread alone: so it is on Linux.
        while True:
            user, password, asker = self._queue.get()
            result: bool | Exception
            try:
                result = asker.still_wanted() and self._check(user, password)
            except Exception as error:  # noqa: BLE001 -- this thread must not end: nobody could log in any more
                result = error
            self._loop.post(_Checked(asker, result))

    def _check(self, user: bytes, password: bytes) -> bool:
        # A browser opens its connections all at once: the first is checked, the others find it remembered.
        if self.known(user, password):
            return True
        right = self._users.check(user, password)
        if right:
            self._remembered[user] = self._digest(user, password), self._loop.now + REMEMBERED_SECONDS
        return right

    def _digest(self, user: bytes, password: bytes) -> bytes:
        return blake2b(b"%b\0%b" % (user, password), key=self._key, digest_size=32).digest()


class _Checked:
    """On its way back into the loop: a result, or why there is none (a defect, too little memory)."""

    __slots__ = ("_asker", "_result")

    def __init__(self, asker: Asker, result: bool | Exception) -> None:
        self._asker = asker
        self._result = result

    def ready(self, _mask: int) -> None:
        if isinstance(self._result, Exception):
            raise self._result
        self._asker.verified(self._result)

    def crashed(self, error: Exception) -> None:
        self._asker.crashed(error)
