"""Our own tasks, run on the emulated lab host: libvirt must open the taps from within its namespace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.context import Lab
from lab.errors import MpsocksError
from lab.runner import Completed
from lab.testbed import session

ROOT = Path(__file__).parent.parent
TASK_SECONDS = 600


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
