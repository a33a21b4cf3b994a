"""The proxy's sessions: who is known by a session ID, and the token window of each (draft-11 "Session options").

Time is the caller's: every `now` is in seconds of one clock that never goes back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_bytes

from codec.errors import LocalProtocolError
from codec.socks6.tokens import LARGEST_WINDOW, TokenBank, random_base

ID_LENGTH = 16
"""Octets of an ID made here. It stands in for a password, so it has as many bits as a key."""


def random_id() -> bytes:
    """An ID that nobody can guess."""
    return token_bytes(ID_LENGTH)


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the memory of a table: the bitmaps of all windows take `sessions * largest_window / 8` octets."""

    sessions: int = 4096
    """Sessions open at a time."""
    sessions_per_user: int = 64
    """Sessions of one user name. Those without a name are many clients: only `sessions` bounds them."""
    idle: float = 3600.0
    """Seconds without a request after which a session ends."""
    largest_window: int = 65536
    """Tokens granted to a session at most, 1 to 2^31-1."""

    def __post_init__(self) -> None:
        if not 1 <= self.largest_window <= LARGEST_WINDOW:
            raise LocalProtocolError(f"a window has 1 to {LARGEST_WINDOW} tokens, not {self.largest_window}")


@dataclass(slots=True, eq=False)
class Session:
    """A session of one principal: a user name, or None for a client that did not have to give one."""

    id: bytes = field(repr=False)  # whoever knows it is in: it must not reach a log
    principal: str | None
    largest_window: int
    last_use: float
    bank: TokenBank | None = None
    """The token window, once one was granted."""

    def grant(self, size: int) -> TokenBank:
        """The window of this session: on the first call one of `size` tokens, or as many as a session may have.

        A window is never replaced, or spent tokens would be good again. `LocalProtocolError` for less than one token.
        """
        if self.bank is None:
            self.bank = TokenBank(min(size, self.largest_window), random_base())
        return self.bank


class SessionTable:
    """All sessions of a proxy, the longest unused first.

    Every operation takes constant time, amortised: expiry looks only at sessions that it ends, and at one more.
    `new_id` makes the ID of a session: octets that nobody can guess, a multiple of 4.
    """

    def __init__(self, limits: Limits | None = None, new_id: Callable[[], bytes] = random_id) -> None:
        self._limits = limits or Limits()
        self._new_id = new_id
        # A dict needs no comparison in constant time: it compares IDs only when their hashes are equal, which are keyed
        # anew in every process, so nobody can grope for an ID of 128 random bits octet by octet. An OrderedDict, as a
        # dict is slow to find its first entry after many before it were deleted.
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._per_user: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, principal: str | None, now: float) -> Session | None:
        """A new session, or None when there are too many: then the proxy says nothing and the client does without.

        A live session is never ended to make room, or one client could end those of the others.
        `LocalProtocolError` when `new_id` gives an ID that is empty, no multiple of 4 octets or in use.
        """
        self.expire(now)
        if len(self._sessions) >= self._limits.sessions:
            return None
        if principal is not None and self._per_user.get(principal, 0) >= self._limits.sessions_per_user:
            return None
        session_id = self._new_id()
        if not session_id or len(session_id) % 4 or session_id in self._sessions:
            raise LocalProtocolError("a session ID is a non-empty multiple of 4 octets that no other session has")
        session = Session(session_id, principal, self._limits.largest_window, now)
        self._sessions[session_id] = session
        if principal is not None:
            self._per_user[principal] = self._per_user.get(principal, 0) + 1
        return session

    def find(self, session_id: bytes, now: float) -> Session | None:
        """The session with this ID, which counts as a use of it; None if there is none (any more)."""
        self.expire(now)
        session = self._sessions.get(session_id)
        if session is not None:
            session.last_use = now
            self._sessions.move_to_end(session_id)
        return session

    def tear_down(self, session_id: bytes, now: float) -> Session | None:
        """End the session with this ID and return it, None if there is none (any more)."""
        self.expire(now)
        session = self._sessions.get(session_id)
        if session is not None:
            self._end(session)
        return session

    def expire(self, now: float) -> None:
        """End the sessions that were idle for too long. The other operations do so first: call it to free memory."""
        while self._sessions:
            oldest = next(iter(self._sessions.values()))
            if now - oldest.last_use <= self._limits.idle:
                return
            self._end(oldest)

    def _end(self, session: Session) -> None:
        del self._sessions[session.id]
        if session.principal is None:
            return
        self._per_user[session.principal] -= 1
        if not self._per_user[session.principal]:
            del self._per_user[session.principal]
