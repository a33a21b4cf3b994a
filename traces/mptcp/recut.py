"""Data that two places saw in different segments, since a network card cut or joined them in between (TSO, GRO).

Such segments are no copies of each other, yet nothing was sent twice. Where two places saw mostly the same octets of
one side of a connection, the segments of the place nearer to who opened it count, as of copies; of the other's only
what was lost in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.numbering import grouped, unwrapped
from traces.mptcp.table import Captured
from traces.reading.segments import Bool, Int64

Stretches: TypeAlias = tuple[Int64, Int64]
"""Where each begins, and where it ends; ascending, and none touches another."""

LONGEST = 1 << 20
"""No segment has so many octets."""
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """Segments with payload. Arrays of equal length."""

    row: Int64
    place: Int64
    """The same for the same interface, and as many hops away."""
    time: Int64
    start: Int64
    """Sequence number, counted from where both places count from."""
    end: Int64

    def at(self, place: int) -> _Data:
        """Those that were seen there."""
        some = self.place == place
        return _Data(self.row[some], self.place[some], self.time[some], self.start[some], self.end[some])


def find_recut(table: Captured, counts: Bool) -> Int64:
    """The rows of what a nearer place has in other segments.

    `counts` says which row of each packet counts: those are looked at. Its copies tell what each place saw.
    """
    sides = 2 * int(table.flow.max(initial=-1)) + 2
    rows = np.flatnonzero((table.payload > 0) & counts)
    side, place = table.sides(rows), _places(table, rows)
    first = np.zeros(sides, np.int64)
    first[side[::-1]] = place[::-1]  # what is written last stays
    mixed = np.zeros(sides, bool)
    mixed[side[place != first[side]]] = True
    if not mixed.any():
        return rows[:0]
    left, begins = _by_side(table, rows[mixed[side]], sides)
    seen, begins_seen = _by_side(table, np.flatnonzero(table.payload > 0), sides)
    gone = []
    for number in np.flatnonzero(mixed):
        all_rows = seen[begins_seen[number] : begins_seen[number + 1]]
        base = table.sequence[all_rows[:1]]
        some = _data(table, left[begins[number] : begins[number + 1]], base)
        gone.append(_repeated_elsewhere(some, _data(table, all_rows, base), is_openers=number % 2 == 0))
    return np.concatenate(gone)


def _by_side(table: Captured, rows: Int64, sides: int) -> tuple[Int64, Int64]:
    """These rows, those of each side of a flow together, and where each side begins."""
    order, begins = grouped(table.sides(rows), sides)
    return rows[order], begins


def _places(table: Captured, rows: Int64) -> Int64:
    return table.tap[rows].astype(np.int64) << 8 | table.hop_limit[rows]


def _data(table: Captured, rows: Int64, base: NDArray[np.uint32]) -> _Data:
    start = unwrapped(table.sequence[rows], np.array([0, len(rows)]), base)
    return _Data(rows, _places(table, rows), table.time[rows], start, start + table.payload[rows])


def _repeated_elsewhere(left: _Data, seen: _Data, *, is_openers: bool) -> Int64:
    """Of what is left of one side, the rows to drop; `seen` is the side with all copies."""
    unions = {int(one): _union(seen.at(int(one))) for one in np.unique(seen.place)}
    nearest = _nearest(seen, unions, is_openers=is_openers)
    size, main = _size(unions[nearest]), seen.at(nearest)
    gone = [left.row[:0]]
    for one, union in unions.items():
        # Places with less than half of it may as well have seen retransmissions that went another way.
        if one != nearest and 2 * _shared(union, unions[nearest]) > size:
            others = left.at(one)
            gone.append(others.row[_is_recut(others, seen.at(one), main)])
    return np.concatenate(gone)


def _is_recut(left: _Data, other: _Data, main: _Data) -> Bool:
    """Which of the segments that are left of another place hold nothing but what the main one has in others.

    Octets that the other saw more often were sent again, and lost in between. Where it is left with more segments than
    that, those that begin and end as one of the main place are such.
    """
    cuts = np.unique(np.concatenate((main.start, main.end, other.start, other.end)))

    def times_seen(data: _Data) -> Int64:
        begun, ended = (
            np.bincount(np.searchsorted(cuts, edge), minlength=len(cuts)) for edge in (data.start, data.end)
        )
        return np.cumsum(begun - ended)[:-1]

    def octets_where(holds: Bool) -> Int64:
        sums = np.concatenate(([0], np.cumsum(np.where(holds, np.diff(cuts), 0))))
        return sums[np.searchsorted(cuts, left.end)] - sums[np.searchsorted(cuts, left.start)]

    lost, size = times_seen(other) - times_seen(main), left.end - left.start
    alike = np.isin(left.start * LONGEST + size, main.start * LONGEST + main.end - main.start)
    return (2 * octets_where(times_seen(left) > lost) > size) & ~alike


def _nearest(seen: _Data, unions: dict[int, Stretches], *, is_openers: bool) -> int:
    """Of the places that saw much of the side, the one nearest to who opened the flow: it sent or got it first or last.

    They are compared by when they saw what all of them have seen.
    """
    most = max(_size(union) for union in unions.values())
    much = [one for one, union in unions.items() if 2 * _size(union) >= most]
    common = max(int(unions[one][0][0]) for one in much)
    when = {one: int(seen.time[(seen.place == one) & (seen.end > common)].min(initial=NEVER)) for one in much}
    return min(much, key=when.__getitem__) if is_openers else max(much, key=when.__getitem__)


def _union(data: _Data) -> Stretches:
    """What these segments cover together."""
    return _joined(data.start, data.end)


def _joined(start: Int64, end: Int64) -> Stretches:
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(end[order])
    fresh = np.concatenate(([True], start[1:] > reach[:-1]))
    return start[fresh], reach[np.concatenate((np.flatnonzero(fresh)[1:] - 1, [len(start) - 1]))]


def _size(union: Stretches) -> int:
    return int((union[1] - union[0]).sum())


def _shared(one: Stretches, other: Stretches) -> int:
    """How many octets they have in common."""
    both = _joined(np.concatenate((one[0], other[0])), np.concatenate((one[1], other[1])))
    return _size(one) + _size(other) - _size(both)
