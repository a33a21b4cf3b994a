"""Captures of machines whose clocks differ: their times are moved to one clock, so that copies come in their order.

Two places that saw the SYN and the SYN-ACK of one connection tell how their clocks differ, as in NTP (RFC 5905 section
8): on the way from A to B a packet is seen at B later, on the way back earlier. Where both seem later, or both earlier,
the clocks differ by more than the way takes. Less than that nothing shows, and nothing goes wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from traces.mptcp.table import ACK, RST, SYN, Captured
from traces.reading.segments import Int32

LEAST = 1_000_000
"""Nanoseconds that clocks have to differ by; less may be how long a capture takes to note the time."""


@dataclass(frozen=True, slots=True)
class _Difference:
    """How much later the second of two clocks is, and how long the way takes to it from the first."""

    first: int
    second: int
    ahead: int
    way: int


def align(table: Captured, interfaces: Sequence[str]) -> list[str]:
    """Move times to the clocks nearest to who opens connections, and tell what was moved.

    All interfaces of one machine have one clock, where their names tell the machine as in `guest:mptcp0`.
    """
    taps = np.unique(table.tap)
    names = [_clock(int(tap), interfaces) for tap in taps]
    clocks = list(dict.fromkeys(names))
    if len(clocks) < 2:
        return []
    clock = np.array([clocks.index(name) for name in names], np.int32)[np.searchsorted(taps, table.tap)]
    moved, warnings = np.zeros(len(clocks), np.int64), []
    for known in _connected(_differences(table, clock)):
        root = min(known, key=lambda one: (known[one][1], clocks[one]))
        for one, (ahead, _) in sorted(known.items()):
            moved[one] = ahead - known[root][0]
            if moved[one]:
                warnings.append(
                    f"the clock of {clocks[one]} is {moved[one] / 1e9:.3f} s ahead of that of {clocks[root]}: "
                    "its times are moved"
                )
    if warnings:
        table.time = table.time - moved[clock]
        table.keep(np.argsort(table.time, kind="stable"))
    return warnings


def _clock(tap: int, interfaces: Sequence[str]) -> str:
    """The machine of an interface, or where its name tells none, its own name and file."""
    name = interfaces[tap & 0xFFFF] if tap & 0xFFFF < len(interfaces) else str(tap)
    return name.rpartition(":")[0] or f"{name} in file {(tap >> 16) + 1}"


def _differences(table: Captured, clock: Int32) -> list[_Difference]:
    """Of each two clocks by which the same handshakes were seen."""
    found: dict[tuple[int, int, int], dict[bool, int]] = defaultdict(dict)
    rows = np.flatnonzero((table.flags & (SYN | RST)) == SYN)
    marks = (table.sequence, table.acknowledgement, table.flags, table.identification, table.timestamp)
    keys = [table.flow[rows], table.direction[rows], *(column[rows] for column in marks)]
    order = np.lexsort((rows, clock[rows], *keys))
    same = np.all([key[order][1:] == key[order][:-1] for key in keys], axis=0)
    rows = rows[order]
    for at in np.flatnonzero(same & (clock[rows[1:]] != clock[rows[:-1]])):
        one, other = rows[at], rows[at + 1]
        ways = found[int(clock[one]), int(clock[other]), int(table.flow[one])]
        ways.setdefault(bool(table.flags[one] & ACK), int(table.time[other]) - int(table.time[one]))
    pairs: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for (first, second, _), ways in found.items():
        if len(ways) == 2:
            pairs[first, second].append((ways[False], ways[True]))
    return [_difference(first, second, ways) for (first, second), ways in pairs.items()]


def _difference(first: int, second: int, ways: list[tuple[int, int]]) -> _Difference:
    """By what SYNs and SYN-ACKs took, of most connections."""
    there, back = np.array(ways, np.int64).T
    ahead = int(np.median((there + back) // 2))
    shown = 2 * int(np.sum(there * np.sign(back) > 0)) > len(ways) and abs(ahead) >= LEAST
    return _Difference(first, second, ahead if shown else 0, int(np.median((there - back) // 2)))


def _connected(differences: list[_Difference]) -> list[dict[int, tuple[int, int]]]:
    """Clocks that can be compared: of each how far it is ahead of the first one, and after how many it sees SYNs."""
    beside: dict[int, list[tuple[int, int]]] = defaultdict(list)
    later: dict[int, int] = defaultdict(int)
    for one in differences:
        beside[one.first].append((one.second, one.ahead))
        beside[one.second].append((one.first, -one.ahead))
        later[one.second if one.way > 0 else one.first] += 1
    groups: list[dict[int, tuple[int, int]]] = []
    seen: set[int] = set()
    for start in beside:
        group: dict[int, tuple[int, int]] = {}
        waiting = [(start, 0)]
        while waiting:
            clock, ahead = waiting.pop()
            if clock not in seen:
                seen.add(clock)
                group[clock] = ahead, later[clock]
                waiting += [(other, ahead + more) for other, more in beside[clock]]
        if group:
            groups.append(group)
    return groups
