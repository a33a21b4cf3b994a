"""What Invoke raises when it cannot read its configuration, told as our own errors are.

Invoke reads it outside of any task, and leaves what goes wrong to Python, which would show a traceback.
"""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from lab.errors import BadInputError

LONGEST_QUOTE = 300


def tell_configuration_errors() -> None:
    """From now on an error of the configuration that nobody catches is told in our way, and any other as before."""
    sys.excepthook = _tell


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if _is_of_the_configuration(trace):
        print(f"error: {_explained(error)}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _is_of_the_configuration(trace: TracebackType | None) -> bool:
    """Whether Invoke's configuration raised it, and no task of ours asked for it."""
    modules = {frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(trace)}
    return "invoke.config" in modules and "lab.tasking" not in modules


def _explained(error: BaseException) -> BadInputError:
    """The error with where to look for its cause."""
    text = f"{type(error).__name__}: {error}"
    if len(text) > LONGEST_QUOTE:
        # What was expected comes first, what was found instead comes last.
        text = f"{text[: LONGEST_QUOTE // 2]} … {text[-LONGEST_QUOTE // 2 :]}"
    return BadInputError(
        "the configuration cannot be read",
        why=text,
        hint="correct invoke.yaml beside tasks.py, ~/.invoke.yaml, or the file given with -f; settings stand in\n"
        "sections below mpsocks, as in   mpsocks: {image: {suite: trixie}}",
    )
