"""What a server and all its processes have used, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_UTIME = 11
"""Its place among the fields of /proc/PID/stat behind the name; stime, cutime and cstime follow it."""
_GONE = (FileNotFoundError, ProcessLookupError)
"""How a process shows that ended between two looks."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, those that ended and were waited for included."""
    ticks = 0
    for process in _tree(pid):
        with suppress(*_GONE):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[_UTIME : _UTIME + 4]))
    return ticks / _TICKS_PER_SECOND


def proportional_kib(pid: int) -> int:
    """Memory of a process and its descendants in KiB; a shared page is divided among those who share it."""
    kib = 0
    for process in _tree(pid):
        with suppress(*_GONE):
            for line in (process / "smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name == "Pss":
                    kib += int(rest.split()[0])
    return kib


def listening_sockets(pid: int, port: int) -> int:
    """How many TCP sockets listen on a port, in the network namespace of a process; 0 when the process has ended."""
    wanted = f":{port:04X}"
    try:
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return 0
    return sum(row[1].endswith(wanted) and row[3] == "0A" for row in map(str.split, lines))


def _tree(pid: int) -> Iterator[Path]:
    """The /proc folders of a process and its descendants."""
    process = Path("/proc") / str(pid)
    yield process
    with suppress(*_GONE):
        for task in sorted((process / "task").iterdir()):
            with suppress(*_GONE):
                for child in (task / "children").read_text().split():
                    yield from _tree(int(child))
