"""The command that is captured: its exit code, what it prints, and its end."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.host_state import wait_until
from tests.lab.testbed.inside import is_running
from traces.capturing.command import Command

LONG_ENOUGH = 30.0


@contextmanager
def running(folder: Path, script: str) -> Iterator[Command]:
    """A shell script, whose output goes to a pipe that nobody reads."""
    reading, writing = os.pipe()
    command = Command(("sh", "-c", script), folder, writing)
    command.start()
    try:
        yield command
    finally:
        command.end()
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize(("script", "code"), [("true", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -INT $$", 130)])
def test_the_exit_code_is_as_a_shell_has_it(tmp_path: Path, script: str, code: int) -> None:
    with running(tmp_path, script) as command:
        assert command.ended_within(LONG_ENOUGH)
        assert command.end() == code


def test_what_it_prints_is_passed_on_as_it_comes_and_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = "printf early; printf '\\377' >&2; until [ -e go ]; do sleep 0.01; done; printf ' late'"
    command = Command(("sh", "-c", f"cd {tmp_path}; {script}"), tmp_path, 1)
    command.start()
    out = tmp_path / "stdout.txt"
    wait_until(lambda: out.exists() and out.read_text() == "early", "what it prints is not kept as it comes")
    assert capfd.readouterr().out == "early"
    (tmp_path / "go").touch(0o600)
    assert command.ended_within(LONG_ENOUGH)
    assert command.end() == 0
    assert capfd.readouterr().out == " late"
    assert out.read_text() == "early late"
    assert (tmp_path / "stderr.txt").read_bytes() == b"\xff"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_it_goes_on_when_nobody_listens(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = Command(("sh", "-c", "for n in 1 2 3; do echo $n; done"), tmp_path, writing)
    command.start()
    assert command.ended_within(LONG_ENOUGH)
    assert command.end() == 0
    os.close(writing)
    assert (tmp_path / "stdout.txt").read_text() == "1\n2\n3\n"


def test_it_goes_on_when_there_is_no_room_to_keep_what_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limits[1]))
    try:
        command = Command(("sh", "-c", "for n in 1 2 3 4; do echo $n; sleep 0.05; done; exit 5"), tmp_path, writing)
        command.start()
        assert command.ended_within(LONG_ENOUGH)
        assert command.end() == 5
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    os.close(writing)
    with os.fdopen(reading) as heard:
        assert heard.read() == "1\n2\n3\n4\n"
    assert (tmp_path / "stdout.txt").read_text() == "1\n2\n"
    assert "no longer kept" in capsys.readouterr().err


def test_it_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    with running(tmp_path, "sleep 600 & echo $!; wait") as command:
        wait_until(lambda: (tmp_path / "stdout.txt").exists() and _lines(tmp_path) == 1, "it does not start")
        child = int((tmp_path / "stdout.txt").read_text())
        assert not command.ended_within(0)
        assert command.end() in (130, 143)
        wait_until(lambda: not is_running(child), "what it started goes on")


def test_what_it_leaves_in_the_background_is_neither_waited_for_nor_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("traces.capturing.command.PATIENCE", 0.1)
    with running(tmp_path, "sleep 600 & echo $!; exit 4") as command:
        assert command.ended_within(LONG_ENOUGH)
        assert command.end() == 4
        child = int((tmp_path / "stdout.txt").read_text())
        assert is_running(child)
        os.kill(child, signal.SIGKILL)


def _lines(folder: Path) -> int:
    return (folder / "stdout.txt").read_text().count("\n")


def test_one_that_was_interrupted_before_it_began_has_the_code_of_an_interrupt(tmp_path: Path) -> None:
    assert Command(("true",), tmp_path, 1).end() == 130
