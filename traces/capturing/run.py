"""`capture`: tcpdump on every interface that was named, for as long as a command runs, merged into one file."""

from __future__ import annotations

import shlex
import shutil

from lab.context import Lab
from lab.errors import BadInputError
from traces.capturing.capture import running
from traces.capturing.finishing import MERGED, finish
from traces.capturing.folder import make_run_folder
from traces.capturing.guest_machine import log_out
from traces.capturing.machine import look
from traces.capturing.outcome import Captured
from traces.capturing.request import Request
from traces.capturing.sources import Source, find_sources, machines_of
from traces.capturing.taking import scope, steps_for, take

CAPTURE_FAILED = 125
"""Exit code when nothing was captured, which few commands have: env and timeout use it the same way."""


def run_capture(lab: Lab, request: Request, *, as_json: bool = False) -> Captured | None:
    """Capture, merge and write the manifest; with --dry, print what would be done and return None.

    With `as_json` what the command prints goes to standard error, since a report is to follow on standard output.
    """
    if request.command and shutil.which(request.command[0]) is None:
        raise BadInputError(
            f"there is no command {request.command[0]!r}", hint="name a program and its arguments after --"
        )
    with lab.progress.stage("looking for the interfaces"):
        sources = find_sources(lab, request)
    if lab.host.dry:
        _rehearse(lab, request, sources)
        return None
    machines = machines_of(sources)
    try:
        with lab.progress.stage("writing down how the machines are set up"):
            looks = {machine.name: look(machine) for machine in machines}
        folder = make_run_folder(lab.state, request.out)
        taken = take(lab, request, sources, folder, stdout=2 if as_json else 1)
        return finish(lab, taken, looks)
    finally:
        for machine in machines:
            if machine.folder:
                log_out(lab, machine)


def _rehearse(lab: Lab, request: Request, sources: tuple[Source, ...]) -> None:
    folder = request.out or lab.state / "captures" / "TIME"
    lab.host.change("mkdir", "-p", "-m", "0700", folder)
    with running(lab, steps_for(sources, request, folder), scope()):
        if request.command:
            print(shlex.join((*lab.host.prefix, *request.command)))
        else:
            print(f"sleep {request.seconds:g}" if request.seconds else "# until ^C")
    print(f"# then {', '.join(source.file_name for source in sources)} are merged into {folder / MERGED}")
