"""Names to addresses: remembered, asked once, never waited for too long."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from codec.reply import ReplyCode
from proxy import resolver as module
from proxy.loop import Loop
from proxy.options import Timeouts
from proxy.resolver import FAILURE_SECONDS, MOST_ADDRESSES, Answer, Candidates, Question, Resolver, candidate, look_up
from tests.proxy.running import NO_SUCH_NAME, PATIENCE

HOME: Candidates = ((socket.AF_INET, "192.0.2.1"),)
LookUp = Callable[[bytes], Candidates]


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that ends by itself when what a test waits for does not come."""
    made = Loop(tick_seconds=PATIENCE, on_tick=lambda: made.stop())  # noqa: PLW0108 -- it has no name yet
    yield made
    made.close()


class Asker:
    """Keeps what it was told, and stops the loop then."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.told: list[Candidates | ReplyCode | Exception] = []

    def answered(self, found: Candidates, /) -> None:
        self.told.append(found)
        self._loop.stop()

    def unanswered(self, code: ReplyCode, /) -> None:
        self.told.append(code)
        self._loop.stop()

    def crashed(self, error: Exception) -> None:
        self.told.append(error)
        self._loop.stop()


class DefectiveAsker(Asker):
    def answered(self, _found: Candidates, /) -> None:
        raise ZeroDivisionError

    def unanswered(self, _code: ReplyCode, /) -> None:
        raise ZeroDivisionError


class Directory:
    """A `look_up` that knows one name, and hangs at others until released."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.released = threading.Event()
        self.hanging = threading.Semaphore(0)
        """Released once for each thread that hangs."""

    def look_up(self, name: bytes) -> Candidates:
        self.asked.append(name)
        if name.startswith(b"hangs"):
            self.hanging.release()
            self.released.wait(PATIENCE)
        return () if name == b"nobody" else HOME

    def wait_for_hanging(self, threads: int = 1) -> None:
        for _ in range(threads):
            assert self.hanging.acquire(timeout=PATIENCE)


@pytest.fixture
def directory() -> Iterator[Directory]:
    made = Directory()
    yield made
    made.released.set()


def run_again(loop: Loop) -> None:
    loop._stopping = False
    loop.run()


def ask(loop: Loop, resolver: Resolver, name: bytes) -> Candidates | ReplyCode | Exception:
    """Ask, and run the loop until it is told."""
    asker = Asker(loop)
    resolver.ask(name, asker)
    if not asker.told:
        run_again(loop)
    return asker.told.pop()


def test_names_are_looked_up_beside_the_loop(loop: Loop) -> None:
    assert ask(loop, Resolver(loop), b"127.0.0.1") == ((socket.AF_INET, "127.0.0.1"),)


def test_localhost_is_in_the_hosts_file() -> None:
    assert (socket.AF_INET, "127.0.0.1") in look_up(b"localhost")


@pytest.mark.parametrize("name", [NO_SUCH_NAME.encode(), b"\xff" * 64, b"a" * 255, b"nul\0"])
def test_a_name_without_an_address_has_no_candidates(name: bytes) -> None:
    assert look_up(name) == ()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.1", (socket.AF_INET, "192.0.2.1")),
        ("2001:db8::1", (socket.AF_INET6, "2001:db8::1")),
        ("::ffff:192.0.2.1", (socket.AF_INET, "192.0.2.1")),
        ("::ffff:0:1", (socket.AF_INET6, "::ffff:0:1")),
    ],
)
def test_an_ipv4_address_written_as_ipv6_is_ipv4(host: str, expected: tuple[int, str]) -> None:
    assert candidate(host) == expected


def test_whoever_runs_a_zone_cannot_have_us_try_any_number_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [(socket.AF_INET, 1, 6, "", (f"192.0.2.{n}", 0)) for n in range(100) for _ in range(2)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: many)
    assert look_up(b"many") == tuple((socket.AF_INET, f"192.0.2.{n}") for n in range(MOST_ADDRESSES))


def test_what_is_known_is_told_at_once(loop: Loop, directory: Directory) -> None:
    resolver = Resolver(loop, look_up=directory.look_up)
    assert ask(loop, resolver, b"Home") == HOME
    again = Asker(loop)
    resolver.ask(b"hoMe", again).forget(again)
    assert again.told == [HOME]
    assert directory.asked == [b"home"]


def test_what_was_found_is_forgotten_after_a_while(loop: Loop, directory: Directory) -> None:
    resolver = Resolver(loop, Timeouts(name=30), directory.look_up)
    for later in (0, 29, 2):
        loop.now += later
        assert ask(loop, resolver, b"home") == HOME
    assert directory.asked == [b"home", b"home"]


def test_that_nothing_was_found_is_remembered_briefly(loop: Loop, directory: Directory) -> None:
    resolver = Resolver(loop, Timeouts(name=30), directory.look_up)
    for later in (0, FAILURE_SECONDS / 2, FAILURE_SECONDS):
        loop.now += later
        assert ask(loop, resolver, b"nobody") == ()
    assert directory.asked == [b"nobody", b"nobody"]


def test_only_so_many_names_are_remembered(loop: Loop, directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 2)
    resolver = Resolver(loop, look_up=directory.look_up)
    for name in (b"one", b"two", b"three", b"three", b"two", b"one"):
        assert ask(loop, resolver, name) == HOME
    assert directory.asked == [b"one", b"two", b"three", b"one"]


def test_equal_questions_are_asked_once(loop: Loop, directory: Directory) -> None:
    resolver = Resolver(loop, look_up=directory.look_up)
    askers = [Asker(loop) for _ in range(5)]
    for asker in askers:
        resolver.ask(b"hangs", asker)
    directory.wait_for_hanging()
    directory.released.set()
    loop.run()
    assert [asker.told for asker in askers] == [[HOME]] * 5
    assert directory.asked == [b"hangs"]


def test_who_has_gone_is_not_told(loop: Loop, directory: Directory) -> None:
    resolver = Resolver(loop, look_up=directory.look_up)
    gone, patient = Asker(loop), Asker(loop)
    question = resolver.ask(b"hangs", gone)
    resolver.ask(b"hangs", patient)
    question.forget(gone)
    directory.released.set()
    loop.run()
    assert (gone.told, patient.told) == ([], [HOME])


def test_a_resolver_that_hangs_holds_nobody_for_ever(loop: Loop, directory: Directory) -> None:
    resolver = Resolver(loop, Timeouts(connect=0.05), directory.look_up)
    assert ask(loop, resolver, b"hangs") is ReplyCode.TIMED_OUT
    assert ask(loop, resolver, b"hangs") is ReplyCode.TIMED_OUT
    assert directory.asked == [b"hangs"], "a name that hangs takes one thread only"
    assert ask(loop, resolver, b"home") == HOME, "another thread makes up for the one that is stuck"
    waiting = Asker(loop)
    resolver.ask(b"hangs", waiting)
    directory.released.set()
    run_again(loop)
    assert waiting.told == [HOME]


def test_each_waits_from_when_it_asked(loop: Loop, directory: Directory) -> None:
    resolver = Resolver(loop, Timeouts(connect=0.05), directory.look_up)
    first, second = Asker(loop), Asker(loop)
    resolver.ask(b"hangs", first)
    loop.now += 1.0
    resolver.ask(b"hangs", second)
    loop.run()
    assert (first.told, second.told) == ([ReplyCode.TIMED_OUT], [])
    run_again(loop)
    assert second.told == [ReplyCode.TIMED_OUT]


def test_a_question_that_nobody_waits_for_any_more_is_not_asked(
    loop: Loop, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_THREADS", 1)
    resolver = Resolver(loop, look_up=directory.look_up)
    stuck, gone = Asker(loop), Asker(loop)
    resolver.ask(b"hangs", stuck)
    directory.wait_for_hanging()
    resolver.ask(b"other", gone).forget(gone)
    directory.released.set()
    loop.run()
    assert ask(loop, resolver, b"home") == HOME
    assert directory.asked == [b"hangs", b"home"]


def test_questions_and_threads_are_bounded(loop: Loop, directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_THREADS", 3)
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    resolver = Resolver(loop, look_up=directory.look_up)
    taken_up = [Asker(loop) for _ in range(3)]
    for number, asker in enumerate(taken_up):
        resolver.ask(b"hangs %d" % number, asker)
        directory.wait_for_hanging()
    waiting = [Asker(loop) for _ in range(2)]
    for number, asker in enumerate(waiting):
        resolver.ask(b"other %d" % number, asker)
    one_too_many = Asker(loop)
    resolver.ask(b"home", one_too_many)
    assert one_too_many.told == [ReplyCode.GENERAL_FAILURE]
    directory.released.set()
    while not all(asker.told for asker in taken_up + waiting):
        run_again(loop)
    assert [asker.told for asker in taken_up + waiting] == [[HOME]] * 5
    assert len(directory.asked) == 5


def test_a_defect_met_by_one_asker_is_its_own(loop: Loop, directory: Directory) -> None:
    resolver = Resolver(loop, look_up=directory.look_up)
    defective, other = DefectiveAsker(loop), Asker(loop)
    resolver.ask(b"hangs", defective)
    resolver.ask(b"hangs", other)
    directory.released.set()
    loop.run()
    assert isinstance(defective.told[0], ZeroDivisionError)
    assert other.told == [HOME]


def test_also_when_it_is_told_that_its_time_is_up(loop: Loop, directory: Directory) -> None:
    resolver = Resolver(loop, Timeouts(connect=0.05), directory.look_up)
    defective = DefectiveAsker(loop)
    resolver.ask(b"hangs", defective)
    loop.run()
    assert isinstance(defective.told[0], ZeroDivisionError)


def test_an_answer_that_comes_when_the_loop_is_closed_is_dropped() -> None:
    closed = Loop(tick_seconds=PATIENCE, on_tick=lambda: None)
    resolver = Resolver(closed)
    closed.close()
    closed.post(Answer(resolver, Question(resolver, b"late"), HOME))


def test_a_defect_of_the_resolver_itself_is_not_hidden(loop: Loop) -> None:
    resolver = Resolver(loop)
    loop.post(Answer(resolver, Question(resolver, b"never asked"), HOME))
    with pytest.raises(KeyError):
        loop.run()
    with pytest.raises(ZeroDivisionError):
        resolver.crashed(ZeroDivisionError())
