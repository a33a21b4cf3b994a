"""What a process holds."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def descriptors(pid: int) -> int:
    """How many it has open; none when it has just ended."""
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except FileNotFoundError:
        return 0


def sockets(pid: int) -> int:
    """How many of its descriptors are sockets: pipes, once made, are kept for the next who needs one."""
    found = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found += str(link.readlink()).startswith("socket:")
    return found


def memory(pid: int) -> int:
    """Octets of memory that are its own."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no Private_Dirty")
