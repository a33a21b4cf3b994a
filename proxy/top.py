"""`mpsocks top`: the live connections of a running proxy, told by its workers at their sockets (`proxy.control`)."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any

from proxy.control import sockets_in
from proxy.log import printable

REFRESH_SECONDS = 1.0
PATIENCE_SECONDS = 5.0
"""For a worker to say something more."""
COLUMNS, LINES = 80, 24
"""Of a terminal that does not know its size."""
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
HEADINGS = ("UP/s", "DOWN/s", "UP", "DOWN", "SECONDS", "STAGE", "PROTOCOL", "CLIENT", "DESTINATION")
_LEFT_ALIGNED = 5
"""From this column on."""

Connection = dict[str, Any]
"""What `proxy.control.describe` makes, with the `worker` (its process ID) and, both ways, octets per second."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `top` to the commands. What is given then has `run`, which takes it and returns the exit code."""
    parser = commands.add_parser("top", help="show the live connections of a running proxy")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="operations.control of the proxy's configuration")
    parser.add_argument("--json", action="store_true", help="a JSON object for each connection, once")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Show them: refreshing on a terminal until ^C, else once."""
    rates = Rates()
    try:
        if given.json:
            for connection in rates.add(ask(given.folder)):
                print(json.dumps(connection))
        elif not sys.stdout.isatty():
            print("\n".join(table(rates.add(ask(given.folder)))))
        else:
            while True:
                columns, lines = os.get_terminal_size(sys.stdout.fileno())
                rows = table(rates.add(ask(given.folder)))[: (lines or LINES) - 1]
                shown = "".join(f"{row[: columns or COLUMNS]}{CLEAR_LINE}\n" for row in rows)
                print(f"{HOME}{shown}{CLEAR_BELOW}", end="", flush=True)
                time.sleep(REFRESH_SECONDS)
        sys.stdout.flush()  # now, while a reader that has left can still be dealt with
    except KeyboardInterrupt:
        print()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that closing it does not complain again
    except OSError as error:
        print(f"mpsocks top: {given.folder}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def ask(folder: Path) -> Iterator[Connection]:
    """What all workers in the folder tell. Raises OSError."""
    for path in sockets_in(folder):
        with socket(AF_UNIX, SOCK_STREAM) as sock:
            sock.settimeout(PATIENCE_SECONDS)
            try:
                sock.connect(str(path))
            except (ConnectionRefusedError, FileNotFoundError):
                continue  # that worker has just ended
            with sock.makefile() as lines:
                worker = int(path.stem.partition("-")[2])
                for line in lines:
                    yield {"worker": worker, **json.loads(line)}


class Rates:
    """Throughput from what was told the last time; of who was not there, since its beginning."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, str], tuple[float, int, int]] = {}

    def add(self, connections: Iterable[Connection]) -> list[Connection]:
        """With `up_rate` and `down_rate` in octets per second, the busiest first."""
        now: dict[tuple[int, str], tuple[float, int, int]] = {}
        told = []
        for one in connections:
            key = one["worker"], one["client"]
            now[key] = seconds, up, down = one["seconds"], one["up"], one["down"]
            before, up_before, down_before = self._before.get(key, (0.0, 0, 0))
            if before > seconds:  # the same client address again, but another connection
                before, up_before, down_before = 0.0, 0, 0
            elapsed = max(seconds - before, 0.001)
            told.append(one | {"up_rate": (up - up_before) / elapsed, "down_rate": (down - down_before) / elapsed})
        self._before = now
        return sorted(told, key=lambda one: (one["up_rate"] + one["down_rate"], one["up"] + one["down"]), reverse=True)


def table(connections: list[Connection]) -> list[str]:
    """Lines with aligned columns, a heading above them."""
    rows = [HEADINGS, *map(_row, connections)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if number < _LEFT_ALIGNED else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [f"{len(connections)} connection{'s' if len(connections) != 1 else ''}", *lines]


def _row(one: Connection) -> tuple[str, ...]:
    user = f"{printable(one['user'])}@" if one["user"] is not None else ""
    return (
        size(one["up_rate"]), size(one["down_rate"]), size(one["up"]), size(one["down"]), f"{one['seconds']:.0f}",
        one["stage"], one["protocol"] + (" mptcp" if one["mptcp"] else ""), user + one["client"],
        printable(one["destination"]),
    )  # fmt: skip


def size(octets: float) -> str:
    """Short enough for a column: 999, 1.5K, 20.0M."""
    for unit in ("", "K", "M", "G"):
        if octets < 1000:
            return f"{octets:.1f}{unit}" if unit else f"{octets:.0f}"
        octets /= 1024
    return f"{octets:.1f}T"
