"""The journal: every change to the host is on disk before it is made, so that it can be undone after any crash.

One JSON object per line: `planned` with the whole step before it is applied, `undone` after it was taken back. Each
line is synced before anything else happens. A last line that was cut short belongs to a change that was never made.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.cache import make_folder
from lab.errors import MpsocksError
from lab.runner import Runner
from lab.steps import step_from_record
from lab.steps.base import Step


@dataclass(frozen=True, slots=True)
class Entry:
    """A step that was planned and not yet undone."""

    number: int
    scope: str
    """What the step belongs to: `tap:0`, `nat:1`, `vm`, `testbed` …"""
    step: Step


class Journal:
    """The steps that stand on one host, kept in `folder/journal.jsonl`."""

    def __init__(self, folder: Path, host: Runner) -> None:
        self.folder = folder
        self.host = host
        self.path = folder / "journal.jsonl"
        self._made: list[int] = []

    def entries(self) -> list[Entry]:
        """What stands, oldest first."""
        standing: dict[int, Entry] = {}
        for record in self._records():
            if record["event"] == "planned":
                step = step_from_record(record["step"])
                standing[record["number"]] = Entry(record["number"], record["scope"], step)
            else:
                standing.pop(record["number"], None)
        return list(standing.values())

    def apply(self, step: Step, scope: str) -> None:
        """Make one change, once: a step that already stands for this scope is left as it is."""
        if self.host.dry:
            step.apply(self.host)
            return
        with self._locked():
            same = [entry for entry in self.entries() if entry.step.subject == step.subject]
            mine = [entry for entry in same if entry.scope == scope]
            if mine:
                self._renew(mine[0].step, step)
                return
            prepared = self._prepare(step, same)
            number = self._next_number()
            self._append({"event": "planned", "number": number, "scope": scope, "step": prepared.as_record()})
            self._made.append(number)
            try:
                prepared.apply(self.host)
            except BaseException:
                self._undo(Entry(number, scope, prepared), self.entries())
                raise

    def undo(self, *scopes: str) -> int:
        """Take back the steps of these scopes (of all, when none is named), newest first; return how many.

        One that cannot be taken back does not keep the others standing: it stays in the journal, and is named in the
        `MpsocksError` raised at the end.
        """
        if not self.path.exists():
            return 0
        with self._locked():
            chosen = [entry for entry in self.entries() if not scopes or entry.scope in scopes]
            self._undo_all(chosen)
            if not self.host.dry and not self.entries():
                self._put_away()
        return len(chosen)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Take back whatever the block applied when it does not end well, so that the host is as it was."""
        earlier = len(self._made)
        try:
            yield
        except BaseException:
            # Not by order of numbers: another process may have applied steps meanwhile, and numbers start again
            # when nothing stands any more.
            made = set(self._made[earlier:])
            if made:
                with self._locked():
                    self._undo_all([entry for entry in self.entries() if entry.number in made])
            raise

    def _prepare(self, step: Step, same: list[Entry]) -> Step:
        if not same:
            return step.prepared(self.host)
        if not step.shared:
            raise MpsocksError(
                f"{step.subject} is already in use", why=f"{same[0].scope} made it", hint="run `invoke clean` first"
            )
        # What to restore is what was there before the first of those who share the step.
        return replace(step, previous=getattr(same[0].step, "previous", None))  # type: ignore[call-arg]

    def _renew(self, standing: Step, wanted: Step) -> None:
        """Make a change again that was lost since: the kernel drops routes when their link goes down."""
        if not standing.wants_the_same_as(wanted):
            raise MpsocksError(
                f"{wanted.subject} is already set up for something else",
                why="an earlier task made it",
                hint="take that back first: the clean-… task of the same name, or `invoke clean`",
            )
        if not standing.stands(self.host):
            standing.apply(self.host)

    def _undo_all(self, entries: list[Entry]) -> None:
        failures: list[str] = []
        standing = self.entries()
        for entry in reversed(entries):
            try:
                self._undo(entry, standing)
                standing.remove(entry)
            except MpsocksError as error:
                failures.append(f"{entry.step.subject}: {error.what} {error.why}".strip())
        if failures:
            raise MpsocksError(
                f"{len(failures)} of {len(entries)} changes could not be taken back",
                why="\n".join(failures),
                hint="mend the cause and run `invoke clean` again; `invoke status` shows what is left",
            )

    def _undo(self, entry: Entry, standing: list[Entry]) -> None:
        others = [e for e in standing if e.step.subject == entry.step.subject and e.number != entry.number]
        if not (entry.step.shared and others):
            entry.step.undo(self.host)
        if not self.host.dry:
            self._append({"event": "undone", "number": entry.number})

    def _next_number(self) -> int:
        return 1 + max((record["number"] for record in self._records()), default=0)

    def _records(self) -> list[dict[str, Any]]:
        """Every record that can be read: one damaged line must not keep all the other changes standing."""
        return [record for record in map(_record, self._lines()) if record]

    def _lines(self) -> list[str]:
        text = self.path.read_text(errors="replace") if self.path.exists() else ""
        return text.split("\n")[:-1]

    def _put_away(self) -> None:
        """Remove the journal when nothing stands any more, unless it holds what cannot be read."""
        damaged = sum(1 for line in self._lines() if not _record(line))
        if damaged:
            raise MpsocksError(
                f"{damaged} lines of the journal cannot be read; all others were taken back",
                why=f"{self.path} is damaged",
                hint=f"look for mptcp… taps, rules and tables that are left, then remove {self.path}",
            )
        self.path.unlink()

    def _append(self, record: dict[str, Any]) -> None:
        fresh = not self.path.exists()
        if not fresh:
            self._drop_torn_line()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, json.dumps(record).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if fresh:
            self._sync_folder()

    def _drop_torn_line(self) -> None:
        octets = self.path.read_bytes()
        os.truncate(self.path, octets.rfind(b"\n") + 1)

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        make_folder(self.folder, 0o700)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _record(line: str) -> dict[str, Any]:
    """The record on a line of the journal, empty when it is damaged."""
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) and {"event", "number"} <= set(record) else {}
