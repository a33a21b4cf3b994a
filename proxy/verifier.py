"""Passwords checked without stopping the loop: scrypt in a thread, results posted back; right ones remembered."""

from __future__ import annotations

import os
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
"""A flood of wrong passwords is to slow down those who log in, not those who are served."""


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
    """One for each process. Users may be replaced at any time; what is remembered of the old ones goes with them."""

    def __init__(self, loop: Loop, users: Users) -> None:
        self._loop = loop
        self._key = os.urandom(32)
        self._accounts = _Accounts(users)
        self._queue: Queue[tuple[bytes, bytes, Asker]] = Queue(LONGEST_QUEUE)
        self._started = False

    def replace(self, users: Users) -> None:
        """Check against these from now on."""
        self._accounts = _Accounts(users)

    def known(self, user: bytes, password: bytes) -> bool:
        """Whether these were right a short while ago. Costs microseconds; False says nothing."""
        return self._accounts.remember(user, self._digest(user, password), self._loop.now)

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
        os.nice(NICENESS)  # Of this thread alone: so it is on Linux.
        while True:
            user, password, asker = self._queue.get()
            try:
                right = asker.still_wanted() and self._check(user, password)
            except Exception as error:  # noqa: BLE001 -- this thread must not end: nobody could log in any more
                self._loop.post(_Failed(asker, error))
            else:
                self._loop.post(_Verified(asker, right))

    def _check(self, user: bytes, password: bytes) -> bool:
        accounts, digest = self._accounts, self._digest(user, password)
        # A browser opens its connections all at once: the first is checked, the others find it remembered.
        if accounts.remember(user, digest, self._loop.now):
            return True
        right = accounts.users.check(user, password)
        if right:
            accounts.remembered[user] = digest, self._loop.now + REMEMBERED_SECONDS
        return right

    def _digest(self, user: bytes, password: bytes) -> bytes:
        # The length keeps user and password apart, whatever octets they have.
        return blake2b(b"%d:%b%b" % (len(user), user, password), key=self._key, digest_size=32).digest()


class _Accounts:
    """The users of one file, and who of them has logged in.

    One object, so that a check which began before the users were replaced is not remembered among the new ones. Of
    each user one password is remembered at most, as a keyed digest.
    """

    __slots__ = ("remembered", "users")

    def __init__(self, users: Users) -> None:
        self.users = users
        self.remembered: dict[bytes, tuple[bytes, float]] = {}

    def remember(self, user: bytes, digest: bytes, now: float) -> bool:
        """Whether this is remembered; if so, it is for longer."""
        there, until = self.remembered.get(user, (b"", 0.0))
        if now >= until or not compare_digest(there, digest):
            return False
        self.remembered[user] = there, now + REMEMBERED_SECONDS
        return True


class _Verified:
    """A result on its way back into the loop."""

    __slots__ = ("_asker", "_right")

    def __init__(self, asker: Asker, right: bool) -> None:
        self._asker = asker
        self._right = right

    def ready(self, _mask: int) -> None:
        self._asker.verified(self._right)

    def crashed(self, error: Exception) -> None:
        self._asker.crashed(error)


class _Failed:
    """A defect, or too little memory, on its way back into the loop."""

    __slots__ = ("_asker", "_error")

    def __init__(self, asker: Asker, error: Exception) -> None:
        self._asker = asker
        self._error = error

    def ready(self, _mask: int) -> None:
        self._asker.crashed(self._error)

    def crashed(self, error: Exception) -> None:
        raise error
