"""The journal: whatever was changed can be taken back, also after a crash between any two octets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from invoke.config import Config
from invoke.context import Context

from lab.errors import MpsocksError
from lab.journal import Journal
from lab.runner import Runner
from lab.steps import KINDS
from tests.lab.notes import HalfNote, Note, SharedNote, StuckError, Witness


@pytest.fixture(autouse=True)
def known_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (Note, SharedNote, HalfNote, Witness):
        monkeypatch.setitem(KINDS, step.kind, step)


@pytest.fixture
def journal(tmp_path: Path, here: Runner) -> Journal:
    return Journal(tmp_path / "state", here)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder for notes."""
    (tmp_path / "desk").mkdir()
    return tmp_path / "desk"


def undone(desk: Path) -> list[str]:
    log = desk / "undone.log"
    return log.read_text().split() if log.exists() else []


def records(journal: Journal) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.path.read_text().splitlines()]


class TestApplying:
    def test_the_plan_is_in_the_file_before_the_change_is_made(self, journal: Journal, tmp_path: Path) -> None:
        witness = Witness(str(journal.path), str(tmp_path / "copy"))
        journal.apply(witness, "tap:0")
        assert json.loads((tmp_path / "copy").read_text()) == {
            "event": "planned", "number": 1, "scope": "tap:0", "step": witness.as_record(),
        }  # fmt: skip

    def test_the_plan_and_its_folder_are_synced_before_the_change_is_made(
        self, journal: Journal, desk: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        happened: list[str] = []
        fsync, write_text = os.fsync, Path.write_text

        def seen_fsync(descriptor: int) -> None:
            fsync(descriptor)
            happened.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

        def seen_write(path: Path, text: str) -> int:
            happened.append(path.name)
            return write_text(path, text)

        monkeypatch.setattr(os, "fsync", seen_fsync)
        monkeypatch.setattr(Path, "write_text", seen_write)
        journal.apply(Note(str(desk / "a"), "A"), "s")
        assert happened == ["journal.jsonl", "state", "a"]

    def test_applying_twice_is_applying_once(self, journal: Journal, desk: Path) -> None:
        for _ in range(2):
            journal.apply(Note(str(desk / "a"), "A"), "s")
        assert len(journal.entries()) == 1
        assert journal.undo() == 1
        assert not (desk / "a").exists()

    def test_a_change_that_was_lost_since_is_made_again_without_a_new_entry(self, journal: Journal, desk: Path) -> None:
        journal.apply(Note(str(desk / "a"), "A"), "s")
        (desk / "a").unlink()
        journal.apply(Note(str(desk / "a"), "A"), "s")
        assert (desk / "a").read_text() == "A"
        assert len(journal.entries()) == 1

    def test_the_same_thing_with_other_content_is_refused(self, journal: Journal, desk: Path) -> None:
        journal.apply(Note(str(desk / "a"), "A"), "s")
        with pytest.raises(MpsocksError, match="already set up for something else"):
            journal.apply(Note(str(desk / "a"), "B"), "s")
        assert (desk / "a").read_text() == "A"

    def test_and_is_refused_also_when_the_old_one_is_lost(self, journal: Journal, desk: Path) -> None:
        journal.apply(Note(str(desk / "a"), "A"), "s")
        (desk / "a").unlink()
        with pytest.raises(MpsocksError, match="already set up for something else"):
            journal.apply(Note(str(desk / "a"), "B"), "s")
        assert not (desk / "a").exists()

    def test_what_another_scope_made_is_refused(self, journal: Journal, desk: Path) -> None:
        journal.apply(Note(str(desk / "a"), "A"), "one")
        with pytest.raises(MpsocksError, match="already in use") as refused:
            journal.apply(Note(str(desk / "a"), "A"), "two")
        assert refused.value.why == "one made it"

    @pytest.mark.parametrize(("failure", "error"), [("error", StuckError), ("interrupt", KeyboardInterrupt)])
    def test_a_change_that_fails_halfway_is_taken_back(
        self, journal: Journal, desk: Path, failure: str, error: type[BaseException]
    ) -> None:
        (desk / "a").write_text("before")
        with pytest.raises(error):
            journal.apply(HalfNote(str(desk / "a"), "after", failure=failure), "s")
        assert (desk / "a").read_text() == "before"
        assert journal.entries() == []

    def test_the_folder_is_for_its_owner_only(self, journal: Journal, desk: Path) -> None:
        journal.apply(Note(str(desk / "a")), "s")
        assert journal.folder.stat().st_mode & 0o777 == 0o700
        assert journal.path.stat().st_mode & 0o777 == 0o600


class TestUndoing:
    def test_newest_first(self, journal: Journal, desk: Path) -> None:
        for name in "abc":
            journal.apply(Note(str(desk / name)), "s")
        assert journal.undo() == 3
        assert undone(desk) == ["c", "b", "a"]

    def test_only_the_named_scopes(self, journal: Journal, desk: Path) -> None:
        for name in "abc":
            journal.apply(Note(str(desk / name)), f"scope:{name}")
        assert journal.undo("scope:a", "scope:c") == 2
        assert [entry.scope for entry in journal.entries()] == ["scope:b"]
        assert (desk / "b").exists()

    def test_twice_is_once(self, journal: Journal, desk: Path) -> None:
        journal.apply(Note(str(desk / "a")), "s")
        assert journal.undo() == 1
        assert journal.undo() == 0
        assert undone(desk) == ["a"]

    def test_nothing_is_left_when_nothing_stands(self, journal: Journal, desk: Path) -> None:
        journal.apply(Note(str(desk / "a")), "s")
        journal.undo()
        assert not journal.path.exists()

    def test_what_was_there_before_comes_back(self, journal: Journal, desk: Path) -> None:
        (desk / "a").write_text("before")
        journal.apply(Note(str(desk / "a"), "after"), "s")
        journal.undo()
        assert (desk / "a").read_text() == "before"

    def test_one_that_fails_stays_and_is_named_while_the_others_go(self, journal: Journal, desk: Path) -> None:
        for name in "abc":
            journal.apply(Note(str(desk / name)), "s")
        (desk / "b.stuck").touch()
        with pytest.raises(MpsocksError, match="1 of 3 changes could not be taken back") as failed:
            journal.undo()
        assert "note b: b is stuck the test wants it so" in failed.value.why
        assert "invoke clean" in failed.value.hint
        assert [entry.step.subject for entry in journal.entries()] == ["note b"]
        (desk / "b.stuck").unlink()
        assert journal.undo() == 1
        assert not (desk / "b").exists()

    def test_another_process_finds_what_a_killed_one_made(self, journal: Journal, desk: Path, here: Runner) -> None:
        journal.apply(Note(str(desk / "a")), "s")
        assert Journal(journal.folder, here).undo() == 1
        assert not (desk / "a").exists()


class TestSharedSteps:
    """Two uplinks may want the same setting; its first value comes back when the last of them goes."""

    @pytest.fixture
    def both(self, journal: Journal, desk: Path) -> Path:
        note = desk / "forwarding"
        note.write_text("0")
        journal.apply(SharedNote(str(note), "1"), "nat:0")
        journal.apply(SharedNote(str(note), "1"), "nat:1")
        return note

    @pytest.mark.parametrize("order", [("nat:0", "nat:1"), ("nat:1", "nat:0")])
    def test_only_the_last_restores_and_to_the_firsts_original(
        self, journal: Journal, both: Path, order: tuple[str, str]
    ) -> None:
        journal.undo(order[0])
        assert both.read_text() == "1"
        journal.undo(order[1])
        assert both.read_text() == "0"

    def test_undoing_all_at_once_restores_too(self, journal: Journal, both: Path) -> None:
        assert journal.undo() == 2
        assert both.read_text() == "0"

    @pytest.mark.usefixtures("both")
    def test_a_dry_run_tells_of_the_restoration(self, journal: Journal, desk: Path) -> None:
        Journal(journal.folder, dry_runner()).undo()
        assert undone(desk) == ["forwarding"]


class TestTransactions:
    @pytest.mark.parametrize("error", [StuckError("no"), RuntimeError("a defect"), KeyboardInterrupt(), SystemExit(1)])
    def test_what_the_block_applied_is_taken_back_however_it_ends(
        self, journal: Journal, desk: Path, error: BaseException
    ) -> None:
        journal.apply(Note(str(desk / "before")), "s")

        def fail() -> None:
            with journal.transaction():
                journal.apply(Note(str(desk / "a")), "s")
                journal.apply(Note(str(desk / "b")), "t")
                raise error

        with pytest.raises(type(error)):
            fail()
        assert undone(desk) == ["b", "a"]
        assert [entry.step.subject for entry in journal.entries()] == ["note before"]

    def test_one_that_ends_well_leaves_all_standing(self, journal: Journal, desk: Path) -> None:
        with journal.transaction():
            journal.apply(Note(str(desk / "a")), "s")
        assert len(journal.entries()) == 1

    def test_the_outer_one_takes_back_what_an_inner_one_kept(self, journal: Journal, desk: Path) -> None:
        def fail() -> None:
            with journal.transaction():
                with journal.transaction():
                    journal.apply(Note(str(desk / "a")), "s")
                raise StuckError("later")

        with pytest.raises(StuckError, match="later"):
            fail()
        assert journal.entries() == []

    def test_what_another_process_applied_meanwhile_stays(self, journal: Journal, desk: Path, here: Runner) -> None:
        def fail() -> None:
            with journal.transaction():
                journal.apply(Note(str(desk / "ours")), "s")
                Journal(journal.folder, here).apply(Note(str(desk / "theirs")), "t")
                raise StuckError("later")

        with pytest.raises(StuckError, match="later"):
            fail()
        assert [entry.step.subject for entry in journal.entries()] == ["note theirs"]

    def test_undoing_inside_does_not_hide_what_comes_after(self, journal: Journal, desk: Path) -> None:
        with pytest.raises(StuckError), journal.transaction():
            journal.apply(HalfNote(str(desk / "failed before")), "s")

        def fail() -> None:
            with journal.transaction():
                journal.apply(Note(str(desk / "a")), "trial")
                journal.undo("trial")
                journal.apply(Note(str(desk / "b")), "s")
                raise StuckError("later")

        with pytest.raises(StuckError, match="later"):
            fail()
        assert not (desk / "b").exists()
        assert journal.entries() == []


class TestCrashes:
    def test_a_torn_last_line_is_ignored_and_cut_off_by_the_next(self, journal: Journal, desk: Path) -> None:
        journal.apply(Note(str(desk / "a")), "s")
        whole = journal.path.read_bytes()
        journal.path.write_bytes(whole + b'{"event": "planned", "number": 2, "sco')
        assert [entry.number for entry in journal.entries()] == [1]
        journal.apply(Note(str(desk / "b")), "s")
        assert [record["number"] for record in records(journal)] == [1, 2]
        journal.undo()
        assert undone(desk) == ["b", "a"]

    def test_a_damaged_line_keeps_no_other_change_standing(self, journal: Journal, desk: Path) -> None:
        journal.apply(Note(str(desk / "first")), "a")
        with journal.path.open("a") as file:
            file.write("\0\0 no record\n")
        journal.apply(Note(str(desk / "second")), "a")
        with pytest.raises(MpsocksError, match="1 lines of the journal cannot be read"):
            journal.undo()
        assert undone(desk) == ["second", "first"]
        assert journal.entries() == []
        assert journal.path.exists()

    def test_a_plan_that_never_came_to_be_is_undone_like_any_other(self, journal: Journal, desk: Path) -> None:
        """As SIGKILL leaves it between the journal's line and the change."""
        journal.apply(Note(str(desk / "a")), "s")
        (desk / "a").unlink()
        assert journal.undo() == 1

    def test_an_undoing_that_was_not_written_down_is_done_again(self, journal: Journal, desk: Path) -> None:
        journal.apply(Note(str(desk / "a")), "s")
        journal.apply(Note(str(desk / "b")), "s")
        journal.undo("s")
        journal.path.write_text("".join(f"{json.dumps(record)}\n" for record in planned(desk, "a", "b")))
        assert journal.undo() == 2

    def test_a_step_of_another_version_is_named(self, journal: Journal) -> None:
        journal.folder.mkdir()
        strange = {"event": "planned", "number": 1, "scope": "s", "step": {"kind": "teleport"}}
        journal.path.write_text(f"{json.dumps(strange)}\n")
        with pytest.raises(MpsocksError, match="teleport") as refused:
            journal.undo()
        assert "the version that made the lab" in refused.value.hint


def planned(desk: Path, *names: str) -> list[dict[str, Any]]:
    steps = [Note(str(desk / name)).as_record() for name in names]
    return [{"event": "planned", "number": n, "scope": "s", "step": step} for n, step in enumerate(steps, 1)]


def dry_runner() -> Runner:
    return Runner(Context(Config(overrides={"run": {"dry": True}})))


class TestDryRuns:
    def test_applying_writes_nothing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        from lab.steps import NewFile

        journal = Journal(tmp_path / "state", dry_runner())
        with journal.transaction():
            journal.apply(NewFile(str(tmp_path / "file"), "text"), "s")
        assert list(tmp_path.iterdir()) == []
        assert f"tee {tmp_path}/file" in capsys.readouterr().out

    def test_a_failed_transaction_writes_nothing(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "state", dry_runner())
        with pytest.raises(StuckError), journal.transaction():
            raise StuckError("no")
        assert list(tmp_path.iterdir()) == []

    def test_undoing_leaves_the_journal_as_it_was(self, journal: Journal, desk: Path) -> None:
        journal.apply(Note(str(desk / "a")), "s")
        before = journal.path.read_bytes()
        Journal(journal.folder, dry_runner()).undo()
        assert journal.path.read_bytes() == before
