"""Reports on standard output: harmless to the terminal that shows them, and ended by whoever has read enough."""

from __future__ import annotations

import os
import sys


def tell(text: str) -> None:
    """Print the text; not all of it when whoever reads has had enough, as `head` has."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Else Python complains when it flushes at its end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def harmless(line: str) -> str:
    """The line with its control characters spelled out, as in `\\x1b[2J`; tabs stay.

    Names of interfaces in captures and lines of web pages can have them: to move the cursor, or to forge a line.
    """
    if line.isprintable():
        return line
    return "".join(
        letter if letter.isprintable() or letter == "\t" else letter.encode("unicode_escape").decode()
        for letter in line.encode(errors="backslashreplace").decode()
    )
