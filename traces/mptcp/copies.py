"""Packets that the files hold more than once, since they passed several places where was captured.

Copies of one packet are alike in everything that no router changes. What is sent again is not a copy: it has another
IPv4 identification or another timestamp; where it has neither, it is told from a copy by being seen again at the same
place. Of copies the one nearest to who opened the connection is kept, so that round trips are as they were there:
the earliest of what it sent, the latest of what it received.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.table import Table, select
from traces.reading.segments import Int64, UInt64

_FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


def without_copies(table: Table) -> Table:
    """The table with each packet once. Direction 0 has to be that of who opened the connection."""
    alike = _likeness(table)
    ordered = np.sort(alike)
    several = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(several):
        return table
    at = np.minimum(np.searchsorted(several, alike), len(several) - 1)
    rows = np.flatnonzero(several[at] == alike)
    alike = alike[rows]
    anonymous = (table.identification[rows] == 0) & (table.timestamp[rows] == 0)
    alike[anonymous] += _times_seen(alike[anonymous], table, rows[anonymous])
    keeps = np.ones(len(table), bool)
    keeps[rows] = False
    for direction in (0, 1):
        some = np.flatnonzero(table.direction[rows] == direction)
        some = some if direction == 0 else some[::-1]
        _, first = np.unique(alike[some], return_index=True)
        keeps[rows[some[first]]] = True
    return select(table, np.flatnonzero(keeps))


def _likeness(table: Table) -> UInt64:
    """A hash of what copies have in common."""

    def column(name: str) -> UInt64:
        values: UInt64 = getattr(table, name).astype(np.uint64)
        return values

    with np.errstate(over="ignore"):
        ends = column("flow") << np.uint64(1) | column("direction")
        numbers = column("sequence") << np.uint64(32) | column("acknowledgement")
        size = column("payload") << np.uint64(24) | column("window") << np.uint64(8) | column("flags")
        marks = column("timestamp") << np.uint64(16) | column("identification")
        mixed = ends
        for part, factor in zip((numbers, size, marks, ends), _FACTORS, strict=True):
            mixed = (mixed ^ part) * np.uint64(factor)
            mixed ^= mixed >> np.uint64(31)
        dss = table.dss
        # One after the other: a segment may have two.
        signal = (dss.ack * np.uint64(_FACTORS[0]) ^ dss.dsn) * np.uint64(_FACTORS[1]) ^ dss.flags ^ dss.checksum
        np.bitwise_xor.at(mixed, dss.row, signal ^ dss.length.astype(np.uint64) << np.uint64(32) ^ dss.ssn)
        for option in table.options:
            mixed[option.row] ^= np.uint64(hash((option.subtype, option.octets)) & 0xFFFF_FFFF_FFFF_FFFF)
    return mixed


def _times_seen(alike: UInt64, table: Table, rows: Int64) -> NDArray[np.uint64]:
    """How often each was seen before at the same place: the same interface, and as many hops away."""
    place = table.tap[rows].astype(np.uint64) << np.uint64(8) | table.hop_limit[rows]
    order = np.lexsort((rows, place, alike))
    same = (alike[order][1:] == alike[order][:-1]) & (place[order][1:] == place[order][:-1])
    number = np.arange(len(rows))
    begin = np.maximum.accumulate(np.where(np.concatenate(([True], ~same)), number, 0)) if len(rows) else number
    seen = np.empty(len(rows), np.uint64)
    seen[order] = (number - begin).astype(np.uint64)
    return seen
