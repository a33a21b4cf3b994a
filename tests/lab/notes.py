"""Steps for tests of the journal: they write notes, and can be told to fail."""

# ruff: noqa: ARG002 - a note needs no host

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lab.errors import MpsocksError
from lab.runner import Runner
from lab.steps.base import Step


class StuckError(MpsocksError):
    """A change that could not be made, or not taken back."""


@dataclass(frozen=True, slots=True)
class Note(Step):
    """A file with a text. Undoing it writes its name to `undone.log` beside it."""

    path: str
    text: str = ""
    previous: str | None = None
    kind: ClassVar[str] = "note"
    remembered: ClassVar[tuple[str, ...]] = ("previous",)

    @property
    def file(self) -> Path:
        return Path(self.path)

    @property
    def subject(self) -> str:
        return f"note {self.file.name}"

    def prepared(self, host: Runner) -> Self:
        return dataclasses.replace(self, previous=self.file.read_text() if self.file.exists() else None)

    def stands(self, host: Runner) -> bool:
        return self.file.exists() and self.file.read_text() == self.text

    def apply(self, host: Runner) -> None:
        self.file.write_text(self.text)

    def undo(self, host: Runner) -> None:
        with self.file.with_name("undone.log").open("a") as log:
            log.write(f"{self.file.name}\n")
        if self.file.with_name(f"{self.file.name}.stuck").exists():
            raise StuckError(f"{self.file.name} is stuck", why="the test wants it so")
        if self.previous is None:
            self.file.unlink(missing_ok=True)
        else:
            self.file.write_text(self.previous)


@dataclass(frozen=True, slots=True)
class SharedNote(Note):
    """The same, wanted by several scopes."""

    kind: ClassVar[str] = "shared-note"
    shared: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class HalfNote(Note):
    """Writes half of its text, and then fails as `failure` says."""

    failure: str = "error"
    kind: ClassVar[str] = "half-note"

    def apply(self, host: Runner) -> None:
        self.file.write_text(self.text[: len(self.text) // 2])
        raise KeyboardInterrupt if self.failure == "interrupt" else StuckError("the disk is full")


@dataclass(frozen=True, slots=True)
class Witness(Step):
    """Copies what the journal's file holds at the moment that it is applied."""

    journal: str
    copy: str
    kind: ClassVar[str] = "witness"

    @property
    def subject(self) -> str:
        return "witness"

    def stands(self, host: Runner) -> bool:
        return Path(self.copy).exists()

    def apply(self, host: Runner) -> None:
        Path(self.copy).write_text(Path(self.journal).read_text())

    def undo(self, host: Runner) -> None:
        Path(self.copy).unlink(missing_ok=True)
