"""Text from outside as it may be shown on a terminal, which does more with some characters than show them."""

from __future__ import annotations


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
