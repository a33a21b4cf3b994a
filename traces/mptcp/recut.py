"""Data that two places saw in different segments, since a network card cut or joined them in between (TSO, GRO).

Such segments are no copies of each other, yet nothing was sent twice. Where two places saw mostly the same octets of
one side of a connection, those of one place count.
"""

from __future__ import annotations

import numpy as np

from traces.mptcp.numbering import grouped, unwrapped
from traces.mptcp.table import Captured
from traces.reading.segments import Int64


def drop_recut(table: Captured) -> list[int]:
    """Leave out what another place has in other segments, and tell the flows where that was so."""
    rows = np.flatnonzero(table.payload > 0)
    side = table.flow[rows] * 2 + table.direction[rows]
    place = table.tap[rows].astype(np.int64) << 8 | table.hop_limit[rows]
    first = np.zeros(2 * int(table.flow.max(initial=-1)) + 2, np.int64)
    first[side[::-1]] = place[::-1]  # what is written last stays
    differs = np.zeros(len(first), bool)
    differs[side[place != first[side]]] = True
    some = np.flatnonzero(differs[side])
    order, begins = grouped(side[some], len(first))
    drops: list[Int64] = []
    for number in np.flatnonzero(differs):
        at = some[order[begins[number] : begins[number + 1]]]
        drops += _repeated_elsewhere(table, rows[at], place[at])
    if not drops:
        return []
    gone = np.concatenate(drops)
    keeps = np.ones(len(table), bool)
    keeps[gone] = False
    found = sorted({int(flow) for flow in table.flow[gone]})
    table.keep(np.flatnonzero(keeps))
    return found


def _repeated_elsewhere(table: Captured, rows: Int64, place: Int64) -> list[Int64]:
    """Of the segments of one side those to drop: the place that saw most octets keeps its own."""
    numbers = table.sequence[rows]
    start = unwrapped(numbers, np.array([0, len(rows)]), numbers[:1])
    end = start + table.payload[rows]
    unions = {int(one): _union(start[place == one], end[place == one]) for one in np.unique(place)}
    main = max(unions, key=lambda one: int((unions[one][1] - unions[one][0]).sum()))
    begins, ends = unions[main]
    size = int((ends - begins).sum())
    drops = []
    for other in unions:
        at = np.flatnonzero(place == other)
        within = np.searchsorted(begins, start[at], side="right") - 1
        at = at[(within >= 0) & (end[at] <= ends[np.maximum(within, 0)])]
        covered = _union(start[at], end[at])
        # Less than half, or in the same segments, may as well be retransmissions that went another way.
        mostly = 2 * int((covered[1] - covered[0]).sum()) > size
        if other != main and mostly and _cut_otherwise(start, end, at, np.flatnonzero(place == main)):
            drops.append(rows[at])
    return drops


def _cut_otherwise(start: Int64, end: Int64, some: Int64, others: Int64) -> bool:
    """Whether most octets of some segments lie in such as are not, with the same begin and end, among the others."""
    there = set(zip(start[others].tolist(), end[others].tolist(), strict=True))
    same = np.array([pair in there for pair in zip(start[some].tolist(), end[some].tolist(), strict=True)], bool)
    size = end[some] - start[some]
    return bool(size[~same].sum() > size[same].sum())


def _union(start: Int64, end: Int64) -> tuple[Int64, Int64]:
    """The stretches that these ranges cover together: where each begins, and where it ends."""
    if not len(start):
        return start, end
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(end[order])
    fresh = np.concatenate(([True], start[1:] > reach[:-1]))
    return start[fresh], reach[np.concatenate((np.flatnonzero(fresh)[1:] - 1, [len(start) - 1]))]
