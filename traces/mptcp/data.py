"""Data over subflows: DSS mappings laid over TCP segments, and numbers widened to positions in a stream.

See `streams` for what a position is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from traces.mptcp.coverage import REACH
from traces.mptcp.flows import Flows
from traces.mptcp.growing import Growing
from traces.mptcp.options import ACK, FIN, LONG_ACK, LONG_DSN, MAPPING, Dss
from traces.mptcp.streams import Streams, widened
from traces.mptcp.table import BLOCK, SYN
from traces.reading.segments import Bool, Int32, Int64, UInt16, UInt32

STRADDLED = 8
"""Mappings that one segment may reach over; no sender makes more than two."""
SHIFT = 1 << 32
"""Keeps positions before the first octet from looking like those of the side before."""


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """DSS mappings. Arrays of equal length, in the order of the segments that carry them."""

    row: Int32
    ssn: Int64
    """Subflow sequence number, as position in the flow's numbers: 1 is the first octet."""
    position: Int64
    octets: UInt16
    """As in the option: the DATA_FIN counts as one."""
    fin: Bool
    checksum: UInt16
    checked: Bool
    signalled: Bool
    """Whether a DSS says so, and it does not only follow from MP_CAPABLE."""

    @property
    def infinite(self) -> Bool:
        infinite: Bool = self.octets == 0
        return infinite

    @property
    def length(self) -> Int64:
        """Octets of data, the DATA_FIN not among them; `REACH` for an infinite mapping."""
        return np.where(self.infinite, REACH, self.octets - self.fin.astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Acks:
    """Data acknowledgements. Arrays of equal length, in the order of the segments."""

    row: Int32
    stream: Int64
    """Of the data that they acknowledge."""
    position: Int64


@dataclass(frozen=True, slots=True, eq=False)
class Chunks:
    """Payload by mapping. Arrays of equal length, in the order of the segments."""

    row: Int32
    map: Int32
    """Index into `Maps`; -1 where none covers the octets."""
    start: Int64
    """Position in the flow's numbers."""
    length: UInt32


def read_acks(dss: Dss, streams: Streams) -> Acks:
    """The data acknowledgements in DSS options."""
    stream = streams.of(dss.row)
    chosen = _where((dss.flags & ACK > 0) & (stream >= 0))
    stream = stream[chosen] ^ 1
    positions = widened(dss.ack[chosen], dss.flags[chosen] & LONG_ACK > 0, stream, streams.initial)
    return Acks(dss.row[chosen], stream, positions)


def read_maps(flows: Flows, dss: Dss, streams: Streams, implied: Maps) -> Maps:
    """The mappings in DSS options, and those `implied` by MP_CAPABLE with data."""
    stream = streams.of(dss.row)
    chosen = _where((dss.flags & MAPPING > 0) & (stream >= 0))
    row, stream = dss.row[chosen], stream[chosen]
    near = flows.position[row]
    found = Maps(
        row=row,
        ssn=near + (dss.ssn[chosen] - near.astype(np.uint32)).view(np.int32),
        position=widened(dss.dsn[chosen], dss.flags[chosen] & LONG_DSN > 0, stream, streams.initial),
        octets=dss.length[chosen], fin=dss.flags[chosen] & FIN > 0, checksum=dss.checksum[chosen],
        checked=dss.checked[chosen], signalled=np.ones(len(row), bool),
    )  # fmt: skip
    return joined(found, implied)


def joined(maps: Maps, more: Maps) -> Maps:
    """All of them, in the order of the segments."""
    if not len(more.row):
        return maps
    order = np.argsort(np.concatenate((maps.row, more.row)), kind="stable")
    return Maps(*(np.concatenate((getattr(maps, name), getattr(more, name)))[order] for name in Maps.__slots__))


def _where(chosen: Bool) -> Int64 | slice:
    """What to index columns with; where all is chosen, as is usual for acknowledgements, nothing is copied."""
    return slice(None) if chosen.all() else np.flatnonzero(chosen)


def lay_out(flows: Flows, streams: Streams, maps: Maps) -> Chunks:
    """The payload of all subflows, each piece with the mapping that covers it: its own segment's or another's."""
    table = flows.table
    rows = np.flatnonzero((table.payload > 0) & (streams.connection >= 0)[table.flow])
    lookup = _Lookup(maps, table.sides(maps.row))
    columns = [Growing(kind) for kind in (np.int32, np.int32, np.int64, np.uint32)]
    for begin in range(0, len(rows), BLOCK):
        for column, values in zip(columns, _laid(flows, lookup, rows[begin : begin + BLOCK]), strict=True):
            column.append(values)
    return Chunks(*(column.whole() for column in columns))


def _laid(flows: Flows, lookup: _Lookup, rows: Int64) -> list[Int64]:
    """The columns of `Chunks` for these segments."""
    table = flows.table
    start = flows.position[rows] + (table.flags[rows] & SYN > 0)
    end, side = start + table.payload[rows], table.sides(rows)
    chosen = lookup.own(rows, start)
    chosen[chosen < 0] = lookup.find(side[chosen < 0], start[chosen < 0])
    parts: list[tuple[Int64, Int64, Int64, Int64]] = []
    for _ in range(STRADDLED):
        reach = np.where(chosen >= 0, lookup.ends[chosen], end) if len(lookup.ends) else end
        parts.append((rows, chosen, start, np.minimum(end, reach) - start))
        left = np.flatnonzero(reach < end)
        if not len(left):
            break
        rows, side, start, end = rows[left], side[left], reach[left], end[left]
        chosen = lookup.find(side, start)
    if len(parts) == 1:
        return list(parts[0])
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return [column[order] for column in columns]


class _Lookup:
    """Finds the mapping that covers a position of a side of a flow."""

    def __init__(self, maps: Maps, side: Int32) -> None:
        self._maps = maps
        self.ends = maps.ssn + maps.length
        self._side = side

    @cached_property
    def _sorted(self) -> tuple[Int64, Int64, Int64]:
        """The mappings that cover anything, in order of their begin; by what they are found in it; and for each which
        of those up to it reaches furthest.

        Mostly segments bring their own mappings, and nobody asks for this.
        """
        maps = self._maps
        filled = np.flatnonzero(self.ends > maps.ssn)
        # Of several that begin at the same octet the longest is found.
        order = filled[np.lexsort((self.ends[filled], maps.ssn[filled], self._side[filled]))]
        keys = _key(self._side[order], maps.ssn[order])
        ends = _key(self._side[order], self.ends[order])
        reaches = ends == np.maximum.accumulate(ends) if len(ends) else ends
        return order, keys, order[np.maximum.accumulate(np.where(reaches, np.arange(len(ends)), 0))]

    def own(self, rows: Int64, start: Int64) -> Int64:
        """The mapping that comes with a segment, where it covers this position; else -1."""
        if not len(self.ends):
            return np.full(len(rows), -1, np.int64)
        # Of two in a segment the last.
        at = np.searchsorted(self._maps.row, rows.astype(np.int32), side="right") - 1
        return np.where((at >= 0) & (self._maps.row[at] == rows) & self._covers(at, start), at, -1)

    def _covers(self, chosen: Int64, start: Int64) -> Bool:
        covers: Bool = (self._maps.ssn[chosen] <= start) & (start < self.ends[chosen])
        return covers

    def find(self, side: Int32, start: Int64) -> Int64:
        """Any mapping that covers this position; -1 where none does."""
        if not len(side):
            return np.zeros(0, np.int64)
        order, keys, furthest = self._sorted
        chosen = np.full(len(side), -1, np.int64)
        if not len(order):
            return chosen
        at = np.searchsorted(keys, _key(side, start), side="right") - 1
        # The nearest if it covers it; else a long one that goes on behind a short one within it.
        for found in (furthest[at], order[at]):
            right = (at >= 0) & (self._side[found] == side) & self._covers(found, start)
            chosen[right] = found[right]
        return chosen


def _key(side: Int32, position: Int64) -> Int64:
    return side * np.int64(REACH * 2) + position + SHIFT
