"""How a function over a `Lab` becomes an Invoke task."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from enum import StrEnum
from types import FrameType
from typing import Any, Protocol, TypeVar, cast

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task, task

from lab.configuration_errors import tell_configuration_errors
from lab.context import make_lab
from lab.errors import BadInputError, MpsocksError
from lab.telling import harmless, tell

Choice = TypeVar("Choice", bound=StrEnum)
Body = Callable[..., Any]
DURATION = re.compile(r"(?P<count>\d+(\.\d+)?) *(?P<unit>ms|s|m|h|)", re.ASCII)
SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

# Here, since Invoke reads most of its configuration after it has imported the tasks, and before it runs one.
tell_configuration_errors()


def lab_task(
    *, root: bool = True, alone: bool = False, error_code: int = 0, **options: Any
) -> Callable[[Body], Task[Any]]:
    """Like Invoke's `@task`, for a function whose first argument is the `Lab`.

    An `MpsocksError` ends the program with its message and exit code, or with `error_code` where given; with --json the
    error is on standard output too. `root` refuses to start without root's rights. `alone` keeps other such tasks from
    changing the same lab meanwhile.
    """

    def decorate(body: Body) -> Task[Any]:
        @functools.wraps(body)
        def run(context: Context, *arguments: Any, **named: Any) -> Any:
            for ending in (signal.SIGTERM, signal.SIGHUP):
                # One that was ignored from the start, as nohup has it, stays so.
                if signal.getsignal(ending) is not signal.SIG_IGN:
                    signal.signal(ending, _interrupt)
            try:
                if root and os.geteuid() != 0 and not context.config.run.dry:
                    raise MpsocksError("this takes root's rights", hint="run it as root, or by ./inv, which asks sudo")
                lab = make_lab(context)
                with lab.exclusive() if alone else nullcontext():
                    return body(lab, *arguments, **named)
            except MpsocksError as error:
                if named.get("json"):
                    report({"error": {"what": error.what, "why": error.why, "hint": error.hint}}, (), as_json=True)
                raise Exit(f"error: {error}", error_code or error.exit_code) from error

        return cast(Task[Any], task(run, **options))

    return decorate


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Whoever is told to end, or loses its terminal, takes back what it has begun, as after ^C."""
    raise KeyboardInterrupt


def number(text: str, what: str) -> int:
    """An option's value as a whole number; `BadInputError` when it is none."""
    try:
        return int(text)
    except ValueError:
        raise BadInputError(f"{what} is {text!r}", hint="give a whole number") from None


def amount(text: str, what: str) -> float:
    """An option's value as a number, fractions too; `BadInputError` when it is none."""
    try:
        return float(text)
    except ValueError:
        raise BadInputError(f"{what} is {text!r}", hint="give a number, such as 0.5") from None


def duration(text: str, what: str) -> float:
    """An option's value such as 30s, 2m, 1.5h or 500ms as seconds; a bare number is seconds."""
    found = DURATION.fullmatch(text.strip())
    if not found:
        raise BadInputError(f"{what} is {text!r}", hint="give a duration, such as 500ms, 30s, 2m or 1h")
    return float(found["count"]) * SECONDS[found["unit"]]


def choice(text: str, choices: type[Choice], what: str) -> Choice:
    """An option's value as a member of an enum; `BadInputError` names the members."""
    try:
        return choices(text)
    except ValueError:
        raise BadInputError(f"{what} is {text!r}", hint=f"choose one of: {', '.join(choices)}") from None


def report(result: Any, lines: Iterable[str], as_json: bool) -> None:
    """Print a report: as JSON for machines, or line by line."""
    tell(json.dumps(result, indent=2) if as_json else "\n".join(map(harmless, lines)))


class Outcome(Protocol):
    """What came of a task that can end badly without an error."""

    @property
    def exit_code(self) -> int: ...
    def as_json(self) -> Any: ...
    def lines(self) -> Iterable[str]: ...


def conclude(outcome: Outcome, as_json: bool) -> None:
    """Report what came of a task, and end with its exit code."""
    report(outcome.as_json(), outcome.lines(), as_json)
    if outcome.exit_code:
        raise Exit(code=outcome.exit_code)


def command_line() -> tuple[str, ...]:
    """What stands behind `--`: a command with its arguments, for a task that runs one."""
    return tuple(sys.argv[sys.argv.index("--") + 1 :]) if "--" in sys.argv else ()


def replace_process(argv: list[str], dry: bool) -> None:
    """Become the command, so that its terminal and its exit code are the user's; with `dry`, print it."""
    if dry:
        print(shlex.join(argv))
        return
    sys.stdout.flush()
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        raise MpsocksError(f"{argv[0]} cannot be run", why=str(error)) from error
