"""The capture itself: every tcpdump listens before the command begins, and none is ended before it has caught up."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lab.context import Lab
from lab.steps import Capture
from traces.capturing.capture import running
from traces.capturing.request import Request
from traces.capturing.sources import Source, machines_of
from traces.capturing.waiting import Ending, run, wait


@dataclass(frozen=True, slots=True)
class Taken:
    """One capture for each source, ended. Times are nanoseconds since 1970."""

    request: Request
    sources: tuple[Source, ...]
    folder: Path
    steps: tuple[Capture, ...]
    """In the order of the sources."""
    started: int
    ended: int
    ending: Ending
    exit_code: int
    lost: tuple[str, ...]
    """Labels of the sources whose capture ended before its time."""


def scope() -> str:
    """The journal's scope of this process's captures: others may run at the same time."""
    return f"capture:{os.getpid()}"


def steps_for(sources: tuple[Source, ...], request: Request, folder: Path) -> tuple[Capture, ...]:
    """A capture for each source; those on this host write to `folder`."""
    return tuple(source.step(folder, request) for source in sources)


def take(lab: Lab, request: Request, sources: tuple[Source, ...], folder: Path, stdout: int) -> Taken:
    """Capture until the command ends, the time is up, or ^C. Nothing stays of a capture that could not begin.

    What the command prints for standard output goes on to descriptor `stdout`.
    """
    steps = steps_for(sources, request, folder)
    with ExitStack() as stack:
        try:
            with lab.progress.stage(f"starting to capture on {', '.join(source.label for source in sources)}"):
                make_remote_folders(sources)
                stack.enter_context(running(lab, steps, scope()))
        except BaseException:
            shutil.rmtree(folder)
            raise
        started = time.time_ns()
        if request.command:
            ending, code = run(lab, request, steps, folder, stdout)
        else:
            ending = wait(lab, request, steps, folder)
            code = int(ending is Ending.LOST)
        ended = time.time_ns()
        with lab.progress.stage("ending the captures"):
            pairs = zip(sources, steps, strict=True)
            lost = tuple(source.label for source, step in pairs if not step.stands(lab.host))
            stack.close()
    return Taken(request, sources, folder, steps, started, ended, ending, code, lost)


def make_remote_folders(sources: tuple[Source, ...]) -> None:
    """Make the folders of machines whose captures have to be fetched."""
    for machine in machines_of(sources):
        if machine.folder:
            machine.runner.change("mkdir", "-m", "0700", machine.folder)
