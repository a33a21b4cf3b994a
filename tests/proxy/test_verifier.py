"""Passwords are checked beside the loop, each once, and never told to anybody."""

from __future__ import annotations

import errno
import os
import threading
import traceback
from collections.abc import Iterator

import pytest

from proxy.loop import Loop
from proxy.users import Hash, Users
from proxy.verifier import LONGEST_QUEUE, REMEMBERED_SECONDS, Verifier
from tests.proxy.running import PATIENCE
from tests.proxy.test_users import cheap

PASSWORD = b"correct horse"
ALICE = Users({b"alice": cheap(PASSWORD)})


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that ends by itself when what a test waits for does not come."""
    made = Loop(tick_seconds=PATIENCE, on_tick=lambda: made.stop())  # noqa: PLW0108 -- it has no name yet
    yield made
    made.close()


class Asker:
    """Keeps what it is told, and stops the loop when that was told `expected` times."""

    def __init__(self, loop: Loop, *, expected: int = 1, wanted: bool = True) -> None:
        self._loop = loop
        self._expected = expected
        self._wanted = wanted
        self.told: list[bool | Exception] = []
        self.threads: set[int] = set()

    def verified(self, right: bool) -> None:
        self._tell(right)

    def crashed(self, error: Exception) -> None:
        self._tell(error)

    def still_wanted(self) -> bool:
        return self._wanted

    def _tell(self, what: bool | Exception) -> None:
        self.threads.add(threading.get_ident())
        self.told.append(what)
        if len(self.told) == self._expected:
            self._loop.stop()


class Held(Users):
    """Users whose checks are counted, and wait until they are let go."""

    def __init__(self, hashes: dict[bytes, Hash]) -> None:
        super().__init__(hashes)
        self.checks = 0
        self.begun = threading.Event()
        self.let_go = threading.Event()

    def check(self, name: bytes, password: bytes) -> bool:
        self.checks += 1
        self.begun.set()
        self.let_go.wait(PATIENCE)
        return super().check(name, password)


def asked(loop: Loop, verifier: Verifier, user: bytes, password: bytes) -> bool | Exception:
    """What the verifier says."""
    asker = Asker(loop)
    assert verifier.ask(user, password, asker)
    loop.run()
    assert asker.threads == {threading.get_ident()}
    return asker.told[0]


@pytest.mark.parametrize(
    ("user", "password", "right"),
    [(b"alice", PASSWORD, True), (b"alice", b"wrong", False), (b"eve", PASSWORD, False), (b"\xff\0", b"", False)],
)
def test_an_answer_comes_in_the_loop(loop: Loop, user: bytes, password: bytes, right: bool) -> None:
    verifier = Verifier(loop, ALICE)
    assert asked(loop, verifier, user, password) is right
    assert verifier.known(user, password) is right


def test_passwords_are_checked_where_no_thread_may_be_nice(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_increment: int) -> int:
        raise PermissionError(errno.EPERM, "as systemd's SystemCallFilter=~@resources has it")

    monkeypatch.setattr(os, "nice", forbidden)
    assert asked(loop, Verifier(loop, ALICE), b"alice", PASSWORD) is True


def test_what_was_right_is_known_while_it_is_used(loop: Loop) -> None:
    verifier = Verifier(loop, ALICE)
    assert not verifier.known(b"alice", PASSWORD)
    asked(loop, verifier, b"alice", PASSWORD)
    for _ in range(3):
        loop.now += REMEMBERED_SECONDS * 0.9
        assert verifier.known(b"alice", PASSWORD)
    assert not verifier.known(b"alice", PASSWORD + b"\0")
    assert not verifier.known(b"alic", b"e" + PASSWORD)
    loop.now += REMEMBERED_SECONDS * 1.1
    assert not verifier.known(b"alice", PASSWORD)


def test_what_was_wrong_is_not_remembered_and_forgets_nothing(loop: Loop) -> None:
    verifier, asker = Verifier(loop, ALICE), Asker(loop, expected=2)
    verifier.ask(b"alice", PASSWORD, asker)
    verifier.ask(b"alice", b"wrong", asker)
    loop.run()
    assert asker.told == [True, False]
    assert not verifier.known(b"alice", b"wrong")
    assert verifier.known(b"alice", PASSWORD)


def test_connections_that_come_all_at_once_are_checked_once(loop: Loop) -> None:
    users = Held({b"alice": cheap(PASSWORD)})
    verifier, asker = Verifier(loop, users), Asker(loop, expected=20)
    for _ in range(20):
        assert verifier.ask(b"alice", PASSWORD, asker)
    users.let_go.set()
    loop.run()
    assert asker.told == [True] * 20
    assert users.checks == 1


def test_who_has_gone_is_not_checked(loop: Loop) -> None:
    users = Held({b"alice": cheap(PASSWORD)})
    gone = Asker(loop, wanted=False)
    Verifier(loop, users).ask(b"alice", PASSWORD, gone)
    loop.run()
    assert gone.told == [False]
    assert users.checks == 0


def test_what_waits_is_bounded_and_all_of_it_is_answered(loop: Loop) -> None:
    users = Held({b"alice": cheap(PASSWORD)})
    verifier, first, others = Verifier(loop, users), Asker(loop, expected=-1), Asker(loop, expected=LONGEST_QUEUE)
    verifier.ask(b"alice", b"wrong", first)
    assert users.begun.wait(PATIENCE)
    assert all(verifier.ask(b"alice", PASSWORD, others) for _ in range(LONGEST_QUEUE))
    assert not verifier.ask(b"alice", PASSWORD, others)
    users.let_go.set()
    loop.run()
    assert first.told == [False]
    assert others.told == [True] * LONGEST_QUEUE


def test_a_check_that_fails_is_told_and_the_next_goes_on(loop: Loop) -> None:
    impossible = Hash(b"salt", b"digest", n=3)
    verifier = Verifier(loop, Users({b"alice": impossible, b"bob": cheap(PASSWORD)}))
    asker = Asker(loop, expected=2)
    verifier.ask(b"alice", PASSWORD, asker)
    verifier.ask(b"bob", PASSWORD, asker)
    loop.run()
    error, right = asker.told
    assert isinstance(error, ValueError)
    assert PASSWORD.decode() not in "".join(traceback.format_exception(error))
    assert right is True
