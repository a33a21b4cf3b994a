"""Our own tasks, run on the emulated lab host: libvirt must open the taps from within its namespace."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.context import Lab
from lab.errors import MpsocksError
from lab.parts import guest_image, guest_kernel
from lab.runner import Completed
from lab.testbed import session

UPLINKS = "wlp1s0,wlan1"
"""Those of the emulated lab host."""
ROOT = Path(__file__).parent.parent
TASK_SECONDS = 600


@contextmanager
def emulated_internet(lab: Lab, *, keep: bool = False) -> Iterator[None]:
    """Build it, and what a guest in it boots, and remove it at the end unless it is to `keep`.

    `MpsocksError` when there is one already.
    """
    guest_image(lab)
    guest_kernel(lab)
    if session.is_up(lab):
        raise MpsocksError("an emulated internet is up already", hint="remove it: invoke testbed-down")
    try:
        session.testbed_up(lab)
        yield
    finally:
        if not keep:
            with lab.progress.stage("cleaning"):
                session.testbed_down(lab)


def task_argv(lab: Lab, *task: str) -> list[str]:
    return session.exec_argv(lab, ["invoke", "--search-root", str(ROOT), *task])


def run_task(lab: Lab, *task: str) -> Completed:
    """Run a task with its options to its end, whatever that is; what it says of its progress is shown."""
    return lab.host.probe(*task_argv(lab, *task), timeout=TASK_SECONDS, show_errors=True)


def report_of(lab: Lab, *task: str, failed: str, command: Sequence[str] = ()) -> Any:
    """The report of a task that ends well; `MpsocksError` says what `failed` when it does not.

    A `command` is one that the task runs.
    """
    done = run_task(lab, *task, "--json", *(("--", *command) if command else ()))
    require_success(failed, done)
    return json.loads(done.stdout)


def require_success(failed: str, done: Completed) -> None:
    if not done.ok:
        raise MpsocksError(failed, why=done.stderr.strip()[-2000:])
