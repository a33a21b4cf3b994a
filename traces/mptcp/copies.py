"""Packets that the files hold more than once, since they passed several places where was captured.

Copies of one packet are alike in everything that no router changes. What is sent again is not a copy: it has another
IPv4 identification or another timestamp; where it has neither, it is told from a copy by being seen again at the same
place. Of copies the one nearest to who opened the connection is kept, so that round trips are as they were there:
the earliest of what it sent, the latest of what it received.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.options import Dss
from traces.mptcp.table import BLOCK, SYN, Captured, Table
from traces.reading.segments import Bool, Int64, UInt64

_FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


def first_copies(table: Captured) -> Bool:
    """Of each packet which row counts. Direction 0 has to be that of who opened the connection."""
    alike = _likeness(table)
    ordered = np.sort(alike)
    several = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    counts = np.ones(len(table), bool)
    if not len(several):
        return counts
    at = np.minimum(np.searchsorted(several, alike), len(several) - 1)
    rows = np.flatnonzero(several[at] == alike)
    alike = alike[rows]
    anonymous = (table.identification[rows] == 0) & (table.timestamp[rows] == 0)
    alike[anonymous] += _times_seen(alike[anonymous], table, rows[anonymous])
    counts[rows] = False
    for direction in (0, 1):
        some = np.flatnonzero(table.direction[rows] == direction)
        some = some if direction == 0 else some[::-1]
        _, first = np.unique(alike[some], return_index=True)
        counts[rows[some[first]]] = True
    return counts


def _likeness(table: Captured) -> UInt64:
    """A hash of what copies have in common."""
    mixed = np.empty(len(table), np.uint64)
    for begin in range(0, len(mixed), BLOCK):
        mixed[begin : begin + BLOCK] = _of_headers(table, slice(begin, begin + BLOCK))
    # A middlebox may strip or add options. What a sender numbers needs none to be told from others, nor do SYNs.
    differs = (table.identification == 0) & (table.flags & SYN == 0)
    for begin in range(0, len(table.dss.row), BLOCK):
        part = slice(begin, begin + BLOCK)
        row = table.dss.row[part]
        np.bitwise_xor.at(mixed, row, np.where(differs[row], _of_signals(table.dss, part), np.uint64(0)))
    for option in table.options:
        if differs[option.row]:
            mixed[option.row] ^= np.uint64(hash((option.subtype, option.octets)) & 0xFFFF_FFFF_FFFF_FFFF)
    return mixed


def _of_headers(table: Captured, part: slice) -> UInt64:

    def wide(column: NDArray[Any]) -> UInt64:
        return column[part].astype(np.uint64)

    ends = wide(table.flow) << np.uint64(1) | wide(table.direction)
    numbers = wide(table.sequence) << np.uint64(32) | wide(table.acknowledgement)
    size = wide(table.payload) << np.uint64(24) | wide(table.window) << np.uint64(8) | wide(table.flags)
    marks = wide(table.timestamp) << np.uint64(16) | wide(table.identification)
    mixed = ends
    with np.errstate(over="ignore"):
        for column, factor in zip((numbers, size, marks, ends), _FACTORS, strict=True):
            mixed = (mixed ^ column) * np.uint64(factor)
            mixed ^= mixed >> np.uint64(31)
    return mixed


def _of_signals(dss: Dss, part: slice) -> UInt64:
    """One number for each, which goes into the hash of its segment: a segment may have two."""
    with np.errstate(over="ignore"):
        numbers = (dss.ack[part] * np.uint64(_FACTORS[0]) ^ dss.dsn[part]) * np.uint64(_FACTORS[1])
    marks = dss.length[part].astype(np.uint64) << np.uint64(32) ^ dss.ssn[part]
    mixed: UInt64 = numbers ^ dss.flags[part] ^ dss.checksum[part] ^ marks
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
