"""Round trip times by TCP sequence and acknowledgement numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.coverage import REACH
from traces.mptcp.flows import Flows
from traces.mptcp.table import SYN
from traces.reading.segments import Int64

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
    table = flows.table
    sent = np.flatnonzero(table.payload > 0)
    side = table.flow.astype(np.int64) * 2 + table.direction
    start = flows.position[sent] + (table.flags[sent] & SYN > 0)
    end = side[sent] * ROOM + np.maximum(start + table.payload[sent], 0)
    order = np.argsort(end, kind="stable")
    ends, rows = end[order], sent[order]
    acked_side = side ^ 1
    acks = np.flatnonzero((flows.acknowledged > 0) & (flows.acknowledged < ROOM))
    acks = acks[np.argsort(acked_side[acks], kind="stable")]
    key = acked_side[acks] * ROOM + flows.acknowledged[acks]
    before = np.concatenate(([-1], np.maximum.accumulate(key)))[:-1] if len(key) else key
    # Behind the ends of the side before, and not before what was acknowledged already.
    before = np.maximum(before, acked_side[acks] * ROOM)
    new = key > before
    acks, key, before = acks[new], key[new], before[new]
    repeated = np.concatenate(([0], np.cumsum(_sent_twice(ends, start[order], side[rows]))))
    first, last = np.searchsorted(ends, before, side="right"), np.searchsorted(ends, key, side="right")
    exact = (last > first) & (ends[np.maximum(last - 1, 0)] == key) if len(ends) else np.zeros(len(key), bool)
    once = repeated[last] == repeated[first]
    acks, rows = acks[exact & once], rows[last[exact & once] - 1]
    seconds = (table.time[acks] - table.time[rows]) / 1e9
    sound = np.flatnonzero(seconds >= 0)
    sound = sound[np.argsort(acks[sound], kind="stable")]
    return Samples(acks[sound], seconds[sound])


def _sent_twice(ends: Int64, start: Int64, side: Int64) -> NDArray[np.bool_]:
    """Whether segments, sorted by their ends, share octets with a neighbour."""
    begins = side * ROOM + np.maximum(start, 0)
    overlaps = ends[:-1] > begins[1:]
    twice = np.zeros(len(ends), bool)
    twice[1:] |= overlaps
    twice[:-1] |= overlaps
    return twice


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
