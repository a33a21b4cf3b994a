"""Runs a task and dies by SIGKILL at its k-th change to the host: …drivers.die_after K WHEN TASK…

WHEN is `planned` (the journal knows of the change, the host does not yet) or `applied` (right after it).
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from invoke.program import Program

import tasks
from lab.steps import KINDS

applied = 0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(number: int, when: str, task: list[str]) -> None:
    """Let every kind of step count itself, and the one of that number be the last."""

    def counting(apply: Any) -> Any:
        def counted(step: Any, host: Any) -> None:
            global applied  # noqa: PLW0603 - one count for all kinds
            applied += 1
            if applied == number and when == "planned":
                die()
            apply(step, host)
            if applied == number:
                die()

        return counted

    for kind in KINDS.values():
        kind.apply = counting(kind.apply)  # type: ignore[method-assign]
    Program(namespace=tasks.namespace).run(["invoke", *task])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
