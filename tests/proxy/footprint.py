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
    return _kib(pid, "Private_Dirty") << 10


def resident(pid: int) -> int:
    """Octets of all the memory that it uses, shared or not."""
    return _kib(pid, "Rss") << 10


def _kib(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0])
    raise AssertionError(f"no {field}")
