"""Names to addresses without stopping the loop: `getaddrinfo` in a few threads, answers posted back and remembered.

The C library tells no lifetimes (TTL), so what is found is remembered for a fixed time; what is not, for a short one.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Callable
from threading import Condition, Thread
from typing import Protocol, TypeAlias

from codec.reply import ReplyCode
from proxy.loop import Loop
from proxy.options import Timeouts

MOST_THREADS = 32
"""Made as questions need them: one stuck in `getaddrinfo`, which nothing can stop, is made up for by another."""
MOST_WAITING = 256
"""Questions that no thread has taken up yet."""
MOST_REMEMBERED = 4096
MOST_ADDRESSES = 16
"""For one name: whoever runs its zone decides how many there are."""
FAILURE_SECONDS = 3.0
"""How long it is remembered that a name was not found, at most."""

Candidate: TypeAlias = tuple[int, str]
"""An address family and an address in text form."""
Candidates: TypeAlias = tuple[Candidate, ...]
"""Best first."""


class Asker(Protocol):
    """Who wants to know. Called in the loop's thread, perhaps before `ask` returns."""

    def answered(self, found: Candidates, /) -> None:
        """None found: there is no such name, or nobody who could tell."""

    def unanswered(self, code: ReplyCode, /) -> None:
        """It took too long (TIMED_OUT), or too many questions wait already (GENERAL_FAILURE)."""

    def crashed(self, error: Exception, /) -> None: ...


class Question:
    """A name that is being looked up, for all who have asked since."""

    __slots__ = ("_resolver", "askers", "name")

    def __init__(self, resolver: Resolver, name: bytes) -> None:
        self._resolver = resolver
        self.name = name
        self.askers: dict[Asker, float] = {}
        """Until when each waits, on the loop's clock; the first to ask comes first."""

    def forget(self, asker: Asker) -> None:
        """The asker does not want to know any more. Safe to call again, and after the answer."""
        if self.askers.pop(asker, None) is not None and not self.askers:
            self._resolver.drop(self)

    def answer(self, found: Candidates) -> None:
        """Tell all who still wait."""
        askers, self.askers = self.askers, {}
        for asker in askers:
            # A defect met by one of them must not leave the others waiting.
            try:
                asker.answered(found)
            except Exception as error:  # noqa: BLE001
                asker.crashed(error)

    def expire(self, now: float) -> None:
        """Who has waited long enough need not wait any longer."""
        for asker in [asker for asker, until in self.askers.items() if until <= now]:
            self.forget(asker)
            try:
                asker.unanswered(ReplyCode.TIMED_OUT)
            except Exception as error:  # noqa: BLE001
                asker.crashed(error)


class Answer:
    """What a thread found, on its way back into the loop."""

    __slots__ = ("_found", "_question", "_resolver")

    def __init__(self, resolver: Resolver, question: Question, found: Candidates) -> None:
        self._resolver = resolver
        self._question = question
        self._found = found

    def ready(self, _mask: int) -> None:
        self._resolver.learn(self._question, self._found)

    def crashed(self, error: Exception) -> None:
        raise error


def look_up(name: bytes) -> Candidates:
    """The addresses of both families, as the C library sorts them (RFC 6724); none when there are none."""
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        return ()
    return tuple(dict.fromkeys(candidate(str(address[0])) for *_, address in answers))[:MOST_ADDRESSES]


def candidate(host: str) -> Candidate:
    """An IP address in text form, with its family. An IPv4 address in the clothes of IPv6 (RFC 4291 section 2.5.5.2)
    is what it is, so that IPv4's socket options and rules are the ones for it."""
    if ":" not in host:
        return socket.AF_INET, host
    if host.startswith("::ffff:") and "." in host:
        return socket.AF_INET, host.removeprefix("::ffff:")
    return socket.AF_INET6, host


class Resolver:
    """One per process, and the handler of the timer for all who wait.

    All but `_work` runs in the loop's thread, and `_changed` guards what the two share.
    """

    def __init__(
        self, loop: Loop, timeouts: Timeouts | None = None, look_up: Callable[[bytes], Candidates] = look_up
    ) -> None:
        """`look_up` is called in threads, and may take its time."""
        self.loop = loop
        self._timeouts = timeouts or Timeouts()
        self._look_up = look_up
        self._known: OrderedDict[bytes, tuple[float, Candidates]] = OrderedDict()
        """Until when, on the loop's clock; what was learned first comes first."""
        self._asked: dict[bytes, Question] = {}
        """Not answered yet. A question that hangs stays, so that asking it again takes no other thread."""
        self._changed = Condition()
        self._waiting: OrderedDict[bytes, Question] = OrderedDict()
        self._idle = 0
        self._threads = 0
        self._timed = False
        self._answered = Question(self, b"")

    def ask(self, name: bytes, asker: Asker) -> Question:
        """Look up a name as it stands on the wire. What is known is told at once.

        Returns what has to `forget` the asker if it ends before it is told.
        """
        key, now = name.lower(), self.loop.now
        known = self._known.get(key)
        if known is not None and known[0] > now:
            asker.answered(known[1])
            return self._answered
        question = self._asked.get(key) or self._put(key)
        if question is None:
            asker.unanswered(ReplyCode.GENERAL_FAILURE)
            return self._answered
        question.askers[asker] = now + self._timeouts.connect
        self._set_timer()
        return question

    def ready(self, _mask: int) -> None:
        """The timer."""
        self._timed = False
        for question in tuple(self._asked.values()):
            question.expire(self.loop.now)
        self._set_timer()

    def crashed(self, error: Exception) -> None:
        raise error

    def drop(self, question: Question) -> None:
        """Nobody waits for it: if no thread has taken it up, none need to."""
        with self._changed:
            dropped = self._waiting.pop(question.name, None)
        if dropped is not None:
            del self._asked[question.name]

    def learn(self, question: Question, found: Candidates) -> None:
        """A thread has the answer."""
        del self._asked[question.name]
        seconds = self._timeouts.name if found else min(self._timeouts.name, FAILURE_SECONDS)
        self._known.pop(question.name, None)
        self._known[question.name] = self.loop.now + seconds, found
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        question.answer(found)

    def _put(self, key: bytes) -> Question | None:
        """A new question for the threads; None when too many wait."""
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                return None
            question = self._asked[key] = self._waiting[key] = Question(self, key)
            short_of_threads = len(self._waiting) > self._idle and self._threads < MOST_THREADS
            self._threads += short_of_threads
            self._changed.notify()
        if short_of_threads:
            self._add_thread()
        return question

    def _add_thread(self) -> None:
        try:
            Thread(target=self._work, daemon=True).start()
        except RuntimeError:  # the system gives no more of them: those that there are take the question in turn
            with self._changed:
                self._threads -= 1

    def _set_timer(self) -> None:
        """For the one that has waited longest: all wait equally long, so who asks later needs no earlier timer."""
        if self._timed:
            return
        until = min((until for one in self._asked.values() for until in one.askers.values()), default=None)
        if until is not None:
            self._timed = True
            self.loop.call_at(until, self)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                self._changed.wait_for(lambda: self._waiting)
                self._idle -= 1
                _, question = self._waiting.popitem(last=False)
            self.loop.post(Answer(self, question, self._look_up(question.name)))
