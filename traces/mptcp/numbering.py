"""Numbers modulo 2^32 counted on beyond it, and TCP's as positions since the initial sequence number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.options import MAPPING, Dss
from traces.mptcp.table import ACK, Captured
from traces.reading.segments import Bool, Int32, Int64, UInt32


def grouped(keys: NDArray[np.generic], count: int) -> tuple[Int64, Int64]:
    """An order that brings equal keys together and keeps theirs, and where each of `count` groups begins in it."""
    narrow = keys.astype(np.uint16) if count < 1 << 16 else keys  # NumPy sorts those far faster
    order = np.argsort(narrow, kind="stable")
    sizes = np.bincount(keys.astype(np.int64), minlength=count)
    return order, np.concatenate(([0], np.cumsum(sizes)))


def unwrapped(values: UInt32, begins: Int64, bases: UInt32) -> Int64:
    """Numbers modulo 2^32 counted on from the base of their group, each within 2^31 of the one before.

    Group i is `values[begins[i]:begins[i + 1]]`.
    """
    at = begins[:-1][np.diff(begins) > 0]
    if not len(at):
        return np.zeros(0, np.int64)
    first = (values[at] - bases[np.diff(begins) > 0]).view(np.int32).astype(np.int64)
    steps = np.empty(len(values), np.int64)
    steps[1:] = (values[1:] - values[:-1]).view(np.int32)
    # A group begins where its base says, wherever the one before ends.
    steps[at] = 0
    ends = first + np.add.reduceat(steps, at)
    steps[at] = first - np.concatenate(([0], ends[:-1]))
    return np.cumsum(steps, out=steps)


def positions(table: Captured, isns: Sequence[int | None]) -> tuple[Int64, Int64]:
    """Sequence and acknowledgement numbers since the initial one; -1 where nothing is acknowledged.

    `isns` has two for each flow, that of direction 0 first.
    """
    side = table.sides()
    order, begins = grouped(side, len(isns))
    bases = np.array([number or 0 for number in isns], np.uint32)
    missing = np.array([number is None for number in isns], bool)
    first = order[begins[:-1][missing & (np.diff(begins) > 0)]]
    # The first octet that is seen counts as the first one.
    bases[side[first]] = table.sequence[first] - np.uint32(1)
    _bases_by_acknowledgements(table, side, missing & (np.diff(begins) == 0), bases)
    position = np.empty(len(table), np.int64)
    position[order] = unwrapped(table.sequence[order], begins, bases)
    order = order[table.flags[order] & ACK > 0]
    begins = np.concatenate(([0], np.cumsum(np.bincount(side[order], minlength=len(isns)))))
    others = bases.reshape(-1, 2)[:, ::-1].ravel()
    acknowledged = np.full(len(table), -1, np.int64)
    acknowledged[order] = unwrapped(table.acknowledgement[order], begins, others)
    if missing.any():
        shift = _shift_by_mappings(table.dss, side, position, missing)
        position -= shift[side]
        acknowledged[order] -= shift[side[order] ^ 1]
    return position, acknowledged


def _bases_by_acknowledgements(table: Captured, side: Int32, unseen: Bool, bases: UInt32) -> None:
    """Where a side sent nothing that was captured, what the other acknowledges first counts as its first octet."""
    if not unseen.any():
        return
    rows = np.flatnonzero((table.flags & ACK > 0) & unseen[side ^ 1])
    sides, first = np.unique(side[rows] ^ 1, return_index=True)
    bases[sides] = table.acknowledgement[rows[first]] - np.uint32(1)


def _shift_by_mappings(dss: Dss, side: Int32, position: Int64, missing: Bool) -> Int64:
    """How far positions are off where the initial sequence number is missing: mappings count from it.

    A segment lies at the begin of its mapping or behind it, so that the least distance is the one of the beginning.
    """
    shift = np.full(len(missing), np.iinfo(np.int64).max)
    chosen = np.flatnonzero((dss.flags & MAPPING > 0) & (dss.ssn > 0) & missing[side[dss.row]])
    row = dss.row[chosen]
    np.minimum.at(shift, side[row], (position[row].astype(np.uint32) - dss.ssn[chosen]).view(np.int32).astype(np.int64))
    return np.where(shift == np.iinfo(np.int64).max, 0, shift)
