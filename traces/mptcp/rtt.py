"""Round trip times by TCP sequence and acknowledgement numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.coverage import REACH
from traces.mptcp.flows import Flows
from traces.mptcp.numbering import grouped
from traces.mptcp.table import SYN
from traces.reading.segments import Bool, Int32, Int64

Float64: TypeAlias = NDArray[np.float64]
ROOM = REACH * 2


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """One for each acknowledgement that tells of a round trip. Arrays of equal length, in the order of time."""

    row: Int64
    """Of the acknowledgement."""
    seconds: Float64


def round_trips(flows: Flows) -> Samples:
    """Time from a segment to the acknowledgement of exactly its last octet.

    Acknowledgements are left out that cover anything that was sent twice (Karn's algorithm, RFC 6298 section 3), and
    those that say nothing new.
    """
    ends, sent, repeated = _data(flows)
    acks, keys, before = _new_acknowledgements(flows)
    first, last = np.searchsorted(ends, before, side="right"), np.searchsorted(ends, keys, side="right")
    exact = (last > first) & (ends[np.maximum(last - 1, 0)] == keys) if len(ends) else np.zeros(len(keys), bool)
    exact &= repeated[last] == repeated[first]
    acks, sent = acks[exact], sent[last[exact] - 1]
    # What only another place saw, as it was lost on the way, has that place's time.
    here = _is_usual(flows, acks) & _is_usual(flows, sent)
    acks, sent = acks[here], sent[here]
    seconds = (flows.table.time[acks] - flows.table.time[sent]) / 1e9
    sound = np.flatnonzero(seconds >= 0)
    sound = sound[np.argsort(acks[sound], kind="stable")]
    return Samples(acks[sound], seconds[sound])


def _is_usual(flows: Flows, rows: Int64) -> Bool:
    """Which of the rows have the hop limit that most such of their side have."""
    table = flows.table
    side = table.sides(rows)
    pairs, inverse, counts = np.unique(
        side.astype(np.int64) << 8 | table.hop_limit[rows], return_inverse=True, return_counts=True
    )
    order = np.lexsort((counts, pairs >> 8))
    usual = np.zeros(2 * len(flows.flows), np.int64)
    usual[pairs[order] >> 8] = pairs[order]  # of each side the last one stays
    is_usual: Bool = (usual[pairs >> 8] == pairs)[inverse]
    return is_usual


def _data(flows: Flows) -> tuple[Int64, Int64, Int32]:
    """Of segments with data: sorted, where they end; their rows; and how many before each were sent twice."""
    table = flows.table
    rows = np.flatnonzero(table.payload > 0)
    side = table.sides(rows) * np.int64(ROOM)
    start = flows.position[rows] + (table.flags[rows] & SYN > 0)
    ends, begins = side + np.maximum(start + table.payload[rows], 0), side + np.maximum(start, 0)
    order = np.argsort(ends, kind="stable")
    ends = ends[order]
    overlaps = ends[:-1] > begins[order[1:]]
    twice = np.zeros(len(ends) + 1, np.int32)
    twice[2:] |= overlaps
    twice[1:-1] |= overlaps
    return ends, rows[order], np.cumsum(twice, dtype=np.int32)


def _new_acknowledgements(flows: Flows) -> tuple[Int64, Int64, Int64]:
    """Rows of those that say something new, up to what each acknowledges, and what was acknowledged before it."""
    table = flows.table
    rows = np.flatnonzero((flows.acknowledged > 0) & (flows.acknowledged < ROOM))
    side = table.sides(rows) ^ 1
    order, _ = grouped(side, 2 * len(flows.flows))
    rows, side = rows[order], side[order]
    keys = side * np.int64(ROOM) + flows.acknowledged[rows]
    before = np.concatenate(([-1], np.maximum.accumulate(keys)))[:-1] if len(keys) else keys
    # Behind the ends of the side before, and not before what was acknowledged already.
    before = np.maximum(before, side * np.int64(ROOM))
    new = keys > before
    return rows[new], keys[new], before[new]


def medians(flows: Flows, turned: Int64, samples: Samples) -> list[tuple[float | None, float | None]]:
    """The median of each flow, in seconds, of the client's data and of the server's; `turned` is as in `Streams`."""
    flow = flows.table.flow[samples.row].astype(np.int64)
    # The acknowledgement goes the other way than the data.
    side = flow * 2 + (flows.table.direction[samples.row] ^ 1 ^ turned[flow])
    count = 2 * len(flows.flows)
    seconds = samples.seconds[np.lexsort((samples.seconds, side))]
    sizes = np.bincount(side, minlength=count)
    begins = np.cumsum(sizes) - sizes
    found: list[float | None] = [None] * count
    for at in np.flatnonzero(sizes):
        low, high = begins[at] + (sizes[at] - 1) // 2, begins[at] + sizes[at] // 2
        found[at] = float(seconds[low] + seconds[high]) / 2
    return list(zip(found[::2], found[1::2], strict=True))
