"""Progress where there is no terminal: one line at the start of a stage and one at its end, on standard error."""

from __future__ import annotations

import re

import pytest

from lab import progress
from lab.errors import MpsocksError
from lab.progress import Progress


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == ""
    return [re.sub(r"\d+\.\d s", "T s", line) for line in err.splitlines()]


def test_a_stage_tells_its_beginning_and_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress().stage("building"):
        assert printed(capsys) == ["▸ building"]
    assert printed(capsys) == ["✓ building (T s)"]


def test_one_that_fails_is_marked_and_not_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    made = Progress()
    with pytest.raises(MpsocksError), made.stage("building"):
        raise MpsocksError("no")
    assert printed(capsys)[-1] == "✗ building (T s)"
    assert made.timings == []


def test_finished_stages_are_remembered_in_their_order() -> None:
    made = Progress()
    with made.stage("outer"), made.stage("inner"):
        pass
    with made.stage("next"):
        pass
    assert [timing.title for timing in made.timings] == ["inner", "outer", "next"]
    assert all(timing.seconds >= 0 for timing in made.timings)


def test_notes_are_told_now_and_then_with_what_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Progress().stage("compiling") as stage:
        stage.tell("too soon to say")
        monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.0)
        stage.tell("objects", 50, 100)
    lines = printed(capsys)
    assert re.fullmatch(r"  … compiling: 50/100 objects, about \d+ s left", lines[1])
    assert len(lines) == 3


def test_lines_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    Progress().line("[bold]not markup[/bold]")
    assert printed(capsys) == ["[bold]not markup[/bold]"]
