"""What Wireshark's programs read in a capture file: they know the formats, and nothing of us."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def frames(file: Path, *fields: str) -> list[tuple[str, ...]]:
    """These fields of every packet, as text."""
    wanted = [word for field in fields for word in ("-e", field)]
    printed = _output("tshark", "-n", "-r", str(file), "-T", "fields", *wanted)
    return [tuple(line.split("\t")) for line in printed.splitlines()]


def told_of(file: Path) -> dict[str, list[str]]:
    """What capinfos says: each heading with all that stands behind it, once for each interface where it has several."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^ *([\w -]+?)(?:: +| = )(.*)$", _output("capinfos", str(file)), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
