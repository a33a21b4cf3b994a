"""Whether the checksums of DSS mappings are right (RFC 8684 section 3.3.1)."""

from __future__ import annotations

import numpy as np

from traces.mptcp.checksum import folded
from traces.mptcp.data import Chunks, Maps
from traces.mptcp.flows import Flows
from traces.mptcp.streams import Streams
from traces.reading.segments import Bool, Int64, UInt64

RIGHT = np.uint16(0xFFFF)
"""The sum over what a right checksum covers and the checksum itself."""


def count_checksums(flows: Flows, streams: Streams, maps: Maps, chunks: Chunks) -> Int64:
    """Mappings whose checksum is right and wrong, shape (connections, 2); those left out whose payload is not whole."""
    counts = np.zeros((len(streams.initial) // 2, 2), np.int64)
    if not maps.checked.any():
        return counts
    checked = maps.checked & ~maps.infinite & streams.known[streams.of(maps.row)]
    chosen = np.flatnonzero(checked)
    if not len(chosen):
        return counts
    # Segments carry a mapping again and again: all stand for the one that was seen first.
    stands_for = np.full(len(maps.row), -1, np.int64)
    stands_for[chosen] = chosen[_first_alike(flows, maps, chosen)]
    first = np.unique(stands_for[chosen])
    place = np.full(len(maps.row), -1, np.int64)
    place[first] = np.arange(len(first))
    sums, complete = _payload_sums(flows, maps, chunks, first, np.where(checked, place[stands_for], -1))
    first = first[complete]
    total = sums[complete] + _pseudo_headers(streams, maps, first) + maps.checksum[first].astype(np.uint64)
    wrong = (folded(total) != RIGHT).astype(np.int64)
    np.add.at(counts, (streams.connection[flows.table.flow[maps.row[first]]], wrong), 1)
    return counts


def _first_alike(flows: Flows, maps: Maps, chosen: Int64) -> Int64:
    """For each of the chosen, which of them is the first of the same mapping with the same checksum."""
    row = maps.row[chosen]
    side = flows.table.sides(row)
    keys = (side, maps.ssn[chosen], maps.position[chosen], maps.octets[chosen], maps.checksum[chosen])
    order = np.lexsort(keys)
    differs = np.ones(len(order), bool)
    differs[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    first = np.empty(len(order), np.int64)
    first[order] = order[np.maximum.accumulate(np.where(differs, np.arange(len(order)), 0))]
    return first


def _payload_sums(flows: Flows, maps: Maps, chunks: Chunks, first: Int64, place: Int64) -> tuple[UInt64, Bool]:
    """The sum of the payload of each of the `first`, and whether segments that were captured whole make it up exactly.

    `place` says of each mapping which of the `first` it stands for; -1 for none.
    """
    table = flows.table
    whole = table.whole[chunks.row] & (chunks.length == table.payload[chunks.row]) & (chunks.map >= 0)
    at = np.flatnonzero(whole)
    at = at[place[chunks.map[at]] >= 0]
    number, start, length = place[chunks.map[at]], chunks.start[at], chunks.length[at]
    order = np.lexsort((length, start, number))
    again = np.zeros(len(order), bool)
    again[1:] = np.all([key[order][1:] == key[order][:-1] for key in (number, start, length)], axis=0)
    order = order[~again]
    at, number, start, length = at[order], number[order], start[order], length[order]
    # Where the payload of the mapping has to go on: at its begin, then at the end of the segment before.
    continues = np.ones(len(at), bool)
    fresh = np.concatenate(([True], number[1:] != number[:-1])) if len(at) else continues
    expected = np.where(fresh, maps.ssn[first[number]], np.roll(start + length, 1))
    gaps = np.bincount(number, weights=start != expected, minlength=len(first))
    covered = np.bincount(number, weights=length, minlength=len(first))
    sums = table.sums[chunks.row[at]]
    sums = np.where((start - maps.ssn[first[number]]) & 1 == 1, sums.byteswap(), sums).astype(np.float64)
    total = np.bincount(number, weights=sums, minlength=len(first)).astype(np.uint64)
    return total, (gaps == 0) & (covered == maps.length[first])


def _pseudo_headers(streams: Streams, maps: Maps, chosen: Int64) -> UInt64:
    """The sum of data sequence number (64 bits), subflow sequence number, length, and two octets of zeros."""
    dsn = streams.initial[streams.of(maps.row[chosen])] + maps.position[chosen].view(np.uint64)
    return _words(dsn, 4) + _words(maps.ssn[chosen].view(np.uint64), 2) + maps.octets[chosen].astype(np.uint64)


def _words(numbers: UInt64, count: int) -> UInt64:
    """The sum of the lowest `count` 16-bit words."""
    words = [(numbers >> np.uint64(16 * at)) & np.uint64(0xFFFF) for at in range(count)]
    total: UInt64 = np.sum(words, axis=0, dtype=np.uint64)
    return total
