"""What is counted, and the shared memory in which every process counts for itself: no locks, no messages.

Each worker counts in a list, and copies it now and then into a block of 64-bit cells that only it writes. When it has
ended the supervisor adds its block to that of the past, so that counters outlive workers and reloads. A connection
costs a handful of increments in all, none of them for a message. `exporter` shows them.
"""

from __future__ import annotations

import mmap
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from math import prod

from codec.reply import ReplyCode

PROTOCOLS = ("unknown", "socks4", "socks5", "socks6", "redirect")
REASONS = (
    "closed", "noop", "idle", "refused", "malformed", "client reset", "remote reset", "client timed out",
    "remote timed out", "handshake timed out", "client closed in its handshake", "tls", "client not allowed",
    "too many connections", "too many connections from this client", "no acceptable authentication method",
    "not authenticated", "wrong password", "no such session", "token spent before", "not redirected", "loop",
    "proxy stopped", "no descriptors left", "too many passwords to check", "client closed before its peer came",
    "worker died", "defect", "other",
)  # fmt: skip
"""Why a connection ended: the `end` of its line in the log, up to a colon."""
CODES = tuple(code.name.lower() for code in ReplyCode)
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds; one more is without bound."""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: a cell for each combination of its labels."""

    name: str
    help: str
    labels: tuple[tuple[str, Sequence[str]], ...] = ()
    is_histogram: bool = False
    """Of seconds: a cell for each bucket, and one for the sum in microseconds."""

    @property
    def cells(self) -> int:
        return len(BUCKETS) + 2 if self.is_histogram else prod(len(values) for _, values in self.labels)


ACCEPTED = Family("mpsocks_connections_accepted_total", "Connections taken from clients.")
ENDED = Family(
    "mpsocks_connections_ended_total",
    "Connections of clients that have ended, by protocol, and by reason as the log tells it.",
    (("protocol", PROTOCOLS), ("reason", REASONS)),
)
RELAYED = Family(
    "mpsocks_relayed_bytes_total",
    "Octets relayed: up from clients to remote hosts, down to clients.",
    (("direction", ("up", "down")),),
)
REPLIES = Family("mpsocks_replies_total", "Answers to requests, by SOCKS reply code.", (("code", CODES),))
WRONG_PASSWORDS = Family("mpsocks_authentication_failures_total", "Wrong passwords.")
REMOTE = Family(
    "mpsocks_remote_connections_total",
    "Connections that were made to remote hosts, by what was asked of the kernel and what the remote host gave.",
    (("asked", ("tcp", "mptcp")), ("got", ("tcp", "mptcp"))),
)
DROPPED_LINES = Family("mpsocks_log_lines_dropped_total", "Lines that could not be written to the log.")
HANDSHAKE = Family("mpsocks_handshake_seconds", "From accept to a whole request.", is_histogram=True)
CONNECT = Family(
    "mpsocks_connect_seconds", "From a request to the connection to its remote host, with resolving.", is_histogram=True
)
FAMILIES = (ACCEPTED, ENDED, RELAYED, REPLIES, WRONG_PASSWORDS, REMOTE, DROPPED_LINES, HANDSHAKE, CONNECT)
"""All that is counted; `mpsocks_connections_open`, a gauge, is what the first two leave."""

*_STARTS, CELLS = accumulate((family.cells for family in FAMILIES), initial=0)
_ACCEPTED, _ENDED, _RELAYED, _REPLIES, _WRONG_PASSWORDS, _REMOTE, _DROPPED_LINES, _HANDSHAKE, _CONNECT = _STARTS
_PROTOCOL_CELLS = {name: _ENDED + number * len(REASONS) for number, name in enumerate(PROTOCOLS)}
_REASON_NUMBERS = {name: number for number, name in enumerate(REASONS)}
_OTHER = _REASON_NUMBERS["other"]
_CELL_OCTETS = 8
MOST_BLOCKS = 256
"""Processes at one time, those included that a reload has retired and whose clients stay."""


class Board:
    """The memory, made by the supervisor before it forks: a block for the past, and one for each process."""

    def __init__(self) -> None:
        # Pages are taken only as they are written to.
        octets = (MOST_BLOCKS * CELLS + 1) * _CELL_OCTETS
        self._cells = memoryview(mmap.mmap(-1, octets)).cast("Q")
        self._free = list(range(MOST_BLOCKS - 1, 0, -1))

    def take(self) -> int | None:
        """The number of a block for a new process; None when there is none left."""
        return self._free.pop() if self._free else None

    def block(self, number: int) -> memoryview:
        return self._cells[number * CELLS : (number + 1) * CELLS]

    def retire(self, number: int) -> None:
        """Its process has ended: keep what it has counted, and let another have the block."""
        past, block = self.block(0), self.block(number)
        # What it had open ended with it, if it had no time to say so.
        lost = block[_ACCEPTED] - sum(block[_ENDED:_RELAYED])
        block[_PROTOCOL_CELLS["unknown"] + _REASON_NUMBERS["worker died"]] += max(0, lost)
        self._cells[-1] += 1
        for cell in range(CELLS):
            past[cell] += block[cell]
            block[cell] = 0
        self._cells[-1] += 1
        self._free.append(number)

    def totals(self) -> list[int]:
        """The sum of all blocks, cell by cell; not while `retire` moves them, which an odd last cell tells."""
        for _ in range(1000):
            before = self._cells[-1]
            totals = [sum(self._cells[cell : MOST_BLOCKS * CELLS : CELLS]) for cell in range(CELLS)]
            if not before % 2 and before == self._cells[-1]:
                break
        return totals


class Counters:
    """What a process counts, and the block where others see it."""

    __slots__ = ("_block", "_cells")

    def __init__(self, block: memoryview | None = None) -> None:
        """Without a block, what is counted is seen by nobody."""
        self._block = block
        self._cells = [0] * CELLS  # an increment takes half as long here as in the block

    def publish(self) -> None:
        """Let others see what has been counted until now."""
        if self._block is not None:
            self._block[:] = memoryview(array("Q", self._cells))

    def accepted(self) -> None:
        self._cells[_ACCEPTED] += 1

    def given_away(self) -> None:
        """Another process has the connection, and has counted it as accepted."""
        self._cells[_ACCEPTED] -= 1

    def ended(self, protocol: str, reason: str) -> None:
        number = _REASON_NUMBERS.get(reason.partition(":")[0], _OTHER)
        self._cells[_PROTOCOL_CELLS.get(protocol, _ENDED) + number] += 1

    def relayed(self, up: int, down: int) -> None:
        """More octets than at the last time."""
        self._cells[_RELAYED] += up
        self._cells[_RELAYED + 1] += down

    def replied(self, code: ReplyCode) -> None:
        self._cells[_REPLIES + code] += 1

    def wrong_password(self) -> None:
        self._cells[_WRONG_PASSWORDS] += 1

    def requested(self, seconds: float) -> None:
        """A request is whole, so long after accept."""
        self._observe(_HANDSHAKE, seconds)

    def connected(self, seconds: float, *, asked: bool, got: bool) -> None:
        """A remote host is reached; `asked` and `got` MPTCP."""
        self._cells[_REMOTE + 2 * asked + got] += 1
        self._observe(_CONNECT, seconds)

    def lines_dropped(self, in_all: int) -> None:
        self._cells[_DROPPED_LINES] = in_all

    def _observe(self, histogram: int, seconds: float) -> None:
        self._cells[histogram + bisect_left(BUCKETS, seconds)] += 1
        self._cells[histogram + len(BUCKETS) + 1] += int(seconds * 1e6)


def exposition(totals: Sequence[int]) -> str:
    """Sums of cells in the text format of Prometheus, version 0.0.4."""
    lines: list[str] = []
    for family, start in zip(FAMILIES, _STARTS, strict=True):
        kind = "histogram" if family.is_histogram else "counter"
        lines += (f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {kind}")
        cells = totals[start : start + family.cells]
        lines += _histogram(family.name, cells) if family.is_histogram else _samples(family, cells)
    still_open = max(0, totals[_ACCEPTED] - sum(totals[_ENDED:_RELAYED]))
    lines += (
        "# HELP mpsocks_connections_open Connections of clients that there are now.",
        "# TYPE mpsocks_connections_open gauge",
        f"mpsocks_connections_open {still_open}",
    )
    return "\n".join(lines) + "\n"


def _samples(family: Family, cells: Sequence[int]) -> Iterator[str]:
    names = [name for name, _ in family.labels]
    for values, cell in zip(product(*(values for _, values in family.labels)), cells, strict=True):
        labels = ",".join(f'{name}="{value}"' for name, value in zip(names, values, strict=True))
        yield f"{family.name}{{{labels}}} {cell}" if labels else f"{family.name} {cell}"


def _histogram(name: str, cells: Sequence[int]) -> Iterator[str]:
    counts = list(accumulate(cells[:-1]))
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
        yield f'{name}_bucket{{le="{bound}"}} {count}'
    yield f"{name}_sum {cells[-1] / 1e6}"
    yield f"{name}_count {counts[-1]}"
