"""Data over subflows: DSS mappings laid over TCP segments, and numbers widened to positions in a stream.

See `streams` for what a position is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.coverage import REACH
from traces.mptcp.flows import Flows
from traces.mptcp.options import ACK, FIN, LONG_ACK, LONG_DSN, MAPPING
from traces.mptcp.streams import Streams, widened
from traces.mptcp.table import SYN
from traces.reading.segments import Int64, UInt16

Bool: TypeAlias = NDArray[np.bool_]

STRADDLED = 64
"""Mappings that one segment may reach over; no sender makes more than two."""
SHIFT = 1 << 32
"""Keeps positions before the first octet from looking like those of the side before."""


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """DSS mappings. Arrays of equal length, in the order of the segments that carry them."""

    row: Int64
    ssn: Int64
    """Subflow sequence number, as position in the flow's numbers: 1 is the first octet."""
    position: Int64
    length: Int64
    """Octets of data, the DATA_FIN not among them; `REACH` for an infinite mapping."""
    octets: Int64
    """As in the option."""
    fin: Bool
    checksum: UInt16
    checked: Bool
    infinite: Bool
    signalled: Bool
    """Whether a DSS says so, and it does not only follow from MP_CAPABLE."""


@dataclass(frozen=True, slots=True, eq=False)
class Acks:
    """Data acknowledgements. Arrays of equal length, in the order of the segments."""

    row: Int64
    stream: Int64
    """Of the data that they acknowledge."""
    position: Int64


@dataclass(frozen=True, slots=True, eq=False)
class Chunks:
    """Payload by mapping. Arrays of equal length, in the order of the segments."""

    row: Int64
    map: Int64
    """Index into `Maps`; -1 where none covers the octets."""
    start: Int64
    """Position in the flow's numbers."""
    length: Int64


def read_acks(flows: Flows, streams: Streams) -> Acks:
    dss = flows.table.dss
    chosen = np.flatnonzero((dss.flags & ACK > 0) & (streams.of_row[dss.row] >= 0))
    row = dss.row[chosen]
    stream = streams.of_row[row] ^ 1
    return Acks(row, stream, widened(dss.ack[chosen], dss.flags[chosen] & LONG_ACK > 0, stream, streams.initial))


def read_maps(flows: Flows, streams: Streams, implied: Maps) -> Maps:
    """The mappings in DSS options, and those `implied` by MP_CAPABLE with data."""
    dss = flows.table.dss
    chosen = np.flatnonzero((dss.flags & MAPPING > 0) & (streams.of_row[dss.row] >= 0))
    row = dss.row[chosen]
    octets = dss.length[chosen].astype(np.int64)
    fin, infinite = dss.flags[chosen] & FIN > 0, octets == 0
    near = flows.position[row]
    found = Maps(
        row=row,
        ssn=near + (dss.ssn[chosen] - near.astype(np.uint32)).view(np.int32),
        position=widened(dss.dsn[chosen], dss.flags[chosen] & LONG_DSN > 0, streams.of_row[row], streams.initial),
        length=np.where(infinite, REACH, octets - fin),
        octets=octets, fin=fin, checksum=dss.checksum[chosen], checked=dss.checked[chosen], infinite=infinite,
        signalled=np.ones(len(row), bool),
    )  # fmt: skip
    if not len(implied.row):
        return found
    order = np.argsort(np.concatenate((found.row, implied.row)), kind="stable")
    return Maps(*(np.concatenate((getattr(found, name), getattr(implied, name)))[order] for name in Maps.__slots__))


def lay_out(flows: Flows, streams: Streams, maps: Maps) -> Chunks:
    """The payload of all subflows, each piece with the mapping that covers it: its own segment's or another's."""
    table = flows.table
    rows = np.flatnonzero((table.payload > 0) & (streams.of_row >= 0))
    start = flows.position[rows] + (table.flags[rows] & SYN > 0)
    end = start + table.payload[rows]
    own = np.full(len(table), -1, np.int64)
    own[maps.row] = np.arange(len(maps.row))
    side = table.flow * np.int64(2) + table.direction
    lookup = _Lookup(maps, side[maps.row])
    chosen = own[rows]
    chosen = np.where((chosen >= 0) & lookup.covers(chosen, start), chosen, -1)
    chosen[chosen < 0] = lookup.find(side[rows[chosen < 0]], start[chosen < 0])
    parts: list[tuple[Int64, Int64, Int64, Int64]] = []
    for _ in range(STRADDLED):
        reach = np.where(chosen >= 0, lookup.ends[chosen], end) if len(maps.row) else end
        parts.append((rows, chosen, start, np.minimum(end, reach) - start))
        left = np.flatnonzero(reach < end)
        if not len(left):
            break
        rows, start, end = rows[left], reach[left], end[left]
        chosen = lookup.find(side[rows], start)
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(joined[0], kind="stable")
    return Chunks(*(column[order] for column in joined))


class _Lookup:
    """Finds the mapping that covers a position of a side of a flow."""

    def __init__(self, maps: Maps, side: Int64) -> None:
        self.begins = maps.ssn
        self.ends = maps.ssn + maps.length
        # Of several that begin at the same octet the longest is found.
        filled = np.flatnonzero(maps.length > 0)
        self._order = filled[np.lexsort((maps.length[filled], maps.ssn[filled], side[filled]))]
        self._side = side
        self._keys = side[self._order] * (REACH * 2) + maps.ssn[self._order] + SHIFT

    def covers(self, chosen: Int64, start: Int64) -> Bool:
        if not len(self.begins):
            return np.zeros(len(start), bool)
        return (self.begins[chosen] <= start) & (start < self.ends[chosen])

    def find(self, side: Int64, start: Int64) -> Int64:
        at = np.searchsorted(self._keys, side * (REACH * 2) + start + SHIFT, side="right") - 1
        if not len(self._order):
            return at
        found = self._order[at]
        right = (at >= 0) & (self._side[found] == side) & self.covers(found, start)
        return np.where(right, found, -1)
