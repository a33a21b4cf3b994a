"""Reading a guest's serial console from its log."""

from __future__ import annotations

import re
from pathlib import Path

# Control sequences and strings (ECMA-48: CSI, OSC), other escapes, and the control characters that are left.
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f]")
QUOTED = 15


def console_text(log: Path) -> str:
    """What the guest has printed so far, without terminal control sequences."""
    if not log.exists():
        return ""
    return ESCAPES.sub("", log.read_bytes().decode(errors="replace").replace("\r", ""))


def last_lines(log: Path, count: int = QUOTED) -> str:
    """The last lines on the console that say something, for an error message."""
    lines = [line for line in console_text(log).splitlines() if line.strip()]
    return "\n".join(lines[-count:]) or "the console stayed empty"
