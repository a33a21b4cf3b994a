"""What a process holds."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

TCP_LISTEN = "0A"


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


def listens(pid: int, port: int) -> bool:
    """Whether its event loop waits for clients of this TCP port on 127.0.0.1 just now."""
    where = f"0100007F:{port:04X}"
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    listening = {int(row[9]) for row in rows if row[1] == where and row[3] == TCP_LISTEN}
    return bool(listening & _watched(pid))


def _watched(pid: int) -> set[int]:
    """The inodes that its epoll instances watch (proc_pid_fdinfo(5))."""
    inodes: set[int] = set()
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            lines = info.read_text().splitlines()
            inodes |= {int(line.split("ino:")[1].split()[0], 16) for line in lines if line.startswith("tfd:")}
    return inodes


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
