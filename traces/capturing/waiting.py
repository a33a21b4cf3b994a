"""Waiting while captures run: for the command to end, for the time to be up, for ^C."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

from lab.context import Lab
from lab.steps import Capture
from traces.capturing.command import Command
from traces.capturing.request import Request

TICK_SECONDS = 0.5
LOOK_SECONDS = 5.0
HEARTBEAT_SECONDS = 10.0


class Ending(StrEnum):
    """Why a capture ended."""

    COMMAND = "command"
    TIME = "time"
    INTERRUPT = "interrupt"
    LOST = "lost"
    """No tcpdump was left, as when every interface went away."""


class _Clock:
    """When to look whether anything is still captured, and when it is enough."""

    def __init__(self, lab: Lab, request: Request, steps: Sequence[Capture]) -> None:
        self._lab = lab
        # Each look at the guest is a login, which its capture would show.
        self._steps = () if any(step.through for step in steps) else steps
        self.started = self._looked = time.monotonic()
        self.seconds = request.seconds

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def tick(self) -> float:
        """Seconds until the next look at the time."""
        return TICK_SECONDS if self.seconds is None else max(0.0, min(TICK_SECONDS, self.seconds - self.elapsed))

    def ending(self) -> Ending | None:
        """Why to end now, if there is a reason."""
        if self.seconds is not None and self.elapsed >= self.seconds:
            return Ending.TIME
        if self._steps and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            if not any(step.stands(self._lab.host) for step in self._steps):
                return Ending.LOST
        return None


def wait(lab: Lab, request: Request, steps: Sequence[Capture], folder: Path) -> Ending:
    """Wait, without a command."""
    clock = _Clock(lab, request, steps)
    total = int(request.seconds) if request.seconds is not None else None
    if total is None:
        print("^C ends the capture", file=sys.stderr)
    with lab.progress.stage("capturing") as stage:
        try:
            while not (ending := clock.ending()):
                stage.tell(f"seconds, {_written(folder)} KiB", int(clock.elapsed), total)
                time.sleep(clock.tick())
        except KeyboardInterrupt:
            return Ending.INTERRUPT
    return ending


def run(lab: Lab, request: Request, steps: Sequence[Capture], folder: Path, stdout: int) -> tuple[Ending, int]:
    """Run the command; return also its exit code. What it prints is passed on, to descriptor `stdout` or to 2."""
    command = Command((*lab.host.prefix, *request.command), folder, stdout)
    try:
        command.start()
        ending = _watch(
            _Clock(lab, request, steps), command, lambda: lab.progress.line(f"  … capturing: {_written(folder)} KiB")
        )
    except KeyboardInterrupt:
        ending = Ending.INTERRUPT
    finally:
        code = command.end()
    return ending, code


def _watch(clock: _Clock, command: Command, tell: Callable[[], None]) -> Ending:
    told = clock.started
    while not command.ended_within(clock.tick()):
        if ending := clock.ending():
            return ending
        if time.monotonic() - told >= HEARTBEAT_SECONDS:
            told = time.monotonic()
            tell()
    return Ending.COMMAND


def _written(folder: Path) -> int:
    """KiB of captures on this host so far."""
    return sum(path.stat().st_size for path in folder.glob("*.pcap")) // 1024
