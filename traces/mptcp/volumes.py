"""How many octets went where: of data by mapping, of TCP by sequence numbers, and as data acknowledgements say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.coverage import REACH, Parts, Sent, classify
from traces.mptcp.data import Acks, Chunks, Maps
from traces.mptcp.flows import Flows
from traces.mptcp.model import MapKind
from traces.mptcp.streams import Streams
from traces.mptcp.table import SYN
from traces.reading.segments import Bool, Int64, Integers

EARLIER = 1 << 31
"""Octets before the first that is seen: as many as can be told from later ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """Data in subflows, part by part, in the order of time. Arrays of equal length."""

    row: Integers
    stream: Integers
    start: Int64
    """Position in the stream, of which the first octet has 1."""
    length: Integers
    kind: NDArray[np.uint8]


def carried(flows: Flows, streams: Streams, maps: Maps, chunks: Chunks, bare: Bool) -> Carried:
    """All payload that has a place in its stream; on flows that are `bare`, without mappings, TCP's numbers tell it."""
    mapped = chunks.map >= 0
    position = chunks.start.copy()
    by = chunks.map[mapped]
    position[mapped] += maps.position[by] - maps.ssn[by]
    chosen = (mapped | bare[flows.table.flow[chunks.row]]) & (position > 0) & (position + chunks.length < REACH)
    # Mostly all of it: then nothing is there twice.
    which = slice(None) if chosen.all() else np.flatnonzero(chosen)
    row, position, length = chunks.row[which], position[which], chunks.length[which]
    stream = streams.of(row).astype(np.int32)
    subflow = streams.subflow[flows.table.flow[row]].astype(np.int32)
    parts = classify(Sent(stream, position, length, subflow, sequence=chunks.start[which]))
    return Carried(row[parts.index], stream[parts.index], parts.start, parts.length, parts.kind)


def by_kind(flows: Flows, data: Carried) -> Int64:
    """Octets, shape (flows, 2 directions of the connection, kinds)."""
    shape = (len(flows.flows), 2, len(MapKind))
    index = np.ravel_multi_index((flows.table.flow[data.row], data.stream & 1, data.kind.astype(np.int64)), shape)
    return _summed(index, data.length, int(np.prod(shape))).reshape(shape)


def tcp_octets(flows: Flows, rows: Int64) -> Int64:
    """Octets of payload, each once, shape (flows, 2 directions from who opened it), over these rows."""
    table = flows.table
    rows = rows[table.payload[rows] > 0]
    # Where a capture begins in the midst of a connection, octets may come before the first that was seen.
    start = flows.position[rows] + (table.flags[rows] & SYN > 0) + EARLIER
    sound = (start >= 0) & (start < REACH // 2)
    rows, start = rows[sound], start[sound]
    side = table.sides(rows)
    parts: Parts = classify(Sent(side, start, table.payload[rows], subflow=np.zeros_like(side), sequence=start))
    new = parts.kind == MapKind.NEW
    return _summed(side[parts.index[new]], parts.length[new], 2 * len(flows.flows)).reshape(-1, 2)


def highest(streams: Integers, positions: Int64, count: int) -> Int64:
    """The highest position of each stream; 0 where there is none."""
    found = np.zeros(count, np.int64)
    np.maximum.at(found, streams, np.where(positions < REACH, positions, 0))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """How far each stream got. Arrays of length 2 * connections; 0 where nothing tells."""

    acked: Int64
    """Highest data acknowledgement: the position that is expected next."""
    seen: Int64
    """Position behind the last octet that was seen."""
    fin: Int64
    """Position of the DATA_FIN."""


def find_ends(streams: Streams, maps: Maps, acks: Acks, data: Carried) -> Ends:
    count = len(streams.initial)
    fin = np.flatnonzero(maps.fin & (maps.octets > 0))
    return Ends(
        acked=highest(acks.stream, acks.position, count),
        seen=highest(data.stream, data.start + data.length, count),
        fin=highest(streams.of(maps.row[fin]), maps.position[fin] + maps.octets[fin] - 1, count),
    )


def _summed(index: Int64, weights: Integers, size: int) -> Int64:
    return np.bincount(index, weights=weights, minlength=size).astype(np.int64)
