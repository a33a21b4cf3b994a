"""Telling a person what is going on: stages with elapsed time, counts and estimates, always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

HEARTBEAT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one finished stage took, in seconds."""

    title: str
    seconds: float


class Stage:
    """One thing that is being done. `tell` says how far it is."""

    def __init__(self, title: str, progress: Progress) -> None:
        self.title = title
        self.started = time.monotonic()
        self._progress = progress
        self._last_line = self.started
        self._task = progress.bars.add_task(title, total=None, note="") if progress.bars else None

    def tell(self, note: str, done: int | None = None, total: int | None = None) -> None:
        """Show `note`, and with `done` of `total` a percentage and the time left as estimated from the pace so far."""
        if done and total:
            left = (time.monotonic() - self.started) / done * (total - done)
            note = f"{done}/{total} {note}, about {left:.0f} s left"
        if self._progress.bars and self._task is not None:
            self._progress.bars.update(self._task, completed=done or 0, total=total, note=note)
        elif time.monotonic() - self._last_line >= HEARTBEAT_SECONDS:
            self._last_line = time.monotonic()
            self._progress.line(f"  … {self.title}: {note}")

    def finish(self, ok: bool) -> float:
        """End the stage and return its seconds."""
        seconds = time.monotonic() - self.started
        if self._progress.bars and self._task is not None:
            self._progress.bars.remove_task(self._task)
        self._progress.line(f"{'✓' if ok else '✗'} {self.title} ({seconds:.1f} s)")
        return seconds


@dataclass(slots=True)
class Progress:
    """Shows stages: live bars on a terminal, plain lines elsewhere. Remembers how long each finished stage took."""

    timings: list[Timing] = field(default_factory=list)
    bars: Bars | None = None
    _console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    _depth: int = 0

    def line(self, text: str) -> None:
        """Print one line."""
        if self.bars:
            self.bars.console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    @contextmanager
    def stage(self, title: str) -> Iterator[Stage]:
        """Show `title` for as long as the block runs."""
        self._enter(title)
        stage = Stage(title, self)
        ok = False
        try:
            yield stage
            ok = True
        finally:
            seconds = stage.finish(ok)
            if ok:
                self.timings.append(Timing(title, seconds))
            self._leave()

    def _enter(self, title: str) -> None:
        self._depth += 1
        if self._depth == 1 and self._console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20),
                       TextColumn("{task.fields[note]}"), TimeElapsedColumn())  # fmt: skip
            self.bars = Bars(*columns, console=self._console, transient=True)
            self.bars.start()
        elif not self.bars:
            self.line(f"▸ {title}")

    def _leave(self) -> None:
        self._depth -= 1
        if self._depth == 0 and self.bars:
            self.bars.stop()
            self.bars = None
