"""Where the records of a file begin: the one thing that is known only from one record to the next.

A step from record to record takes Python as long as NumPy takes for all else. So many scans go at once, with one step
of NumPy for all of them. All but the first begin where a record seems to begin, and what they find counts only when the
scan before ends exactly where they began: a wrong guess costs time, and is never believed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traces.reading.segments import Int64, UInt8

ROOM = 1 << 14
"""Octets for each of the scans that go at once."""
USUAL_RECORD = 128
FEWEST_SCANS = 32
FAR = 1 << 12
"""Octets in which the begin of a record is looked for."""
LONGEST = 1 << 16
"""Of the records that a guess takes for such."""
HOPS = 2
SMALLEST = 12


@dataclass(frozen=True, slots=True)
class Layout:
    """What records of a file look like."""

    order: str
    length_at: int
    """Where in the record its length is, a number of four octets."""
    extra: int
    """Octets to add to that length."""
    marker: slice
    """Octets that are the same in most records."""


def scan(octets: UInt8, begin: int, end: int, layout: Layout, most: int) -> Int64:
    """Where records begin from `begin` on that end before `end`, and last where the next one begins.

    There are `most` records at most, and there may be fewer than it could be; none only if the first one is not whole.
    There must be as many octets behind `end` as a record has up to its length. A damaged length is for the caller to
    see: the records behind it are not sound.
    """
    region = min(end, begin + most * USUAL_RECORD)
    guesses = _guesses(octets, begin, region, layout) if region - begin >= FEWEST_SCANS * ROOM else []
    if len(guesses) >= FEWEST_SCANS:
        found = _many_at_once(octets, guesses, region, end, layout)
        # Where an early guess was wrong little is found, and a file could be made to have such guesses throughout.
        if found[-1] - begin > (region - begin) // 2:
            return found[: most + 1]
    return _one_by_one(octets, begin, end, layout, most)


def _one_by_one(octets: UInt8, begin: int, end: int, layout: Layout, most: int) -> Int64:
    unpack, length_at, extra = struct.Struct(f"{layout.order}I").unpack_from, layout.length_at, layout.extra
    memory = memoryview(octets)  # type: ignore[arg-type]
    at, last = begin, end - length_at - 4
    starts: list[int] = []
    append = starts.append
    for _ in range(most):
        if at > last:
            break
        append(at)
        at += extra + unpack(memory, at + length_at)[0]
    if at <= end:
        append(at)
    return np.array(starts, np.int64)


def _guesses(octets: UInt8, begin: int, end: int, layout: Layout) -> list[int]:
    """`begin`, and places beyond it where a record seems to begin, at about equal distances."""
    unpack = struct.Struct(f"{layout.order}I").unpack_from
    memory = memoryview(octets)  # type: ignore[arg-type]
    first, size = layout.marker.start, layout.marker.stop - layout.marker.start
    marker = memory[begin + first : begin + first + size].tobytes()

    def seems(at: int) -> bool:
        for _ in range(HOPS):
            length = layout.extra + unpack(memory, at + layout.length_at)[0]
            at += length
            if not SMALLEST <= length <= LONGEST or at > end or memory[at + first : at + first + size] != marker:
                return False
        return True

    found = [begin]
    for near in range(begin + ROOM, end - FAR, ROOM):
        around = memory[near : near + FAR].tobytes()
        hit = around.find(marker, first)
        while hit >= 0:
            if seems(near + hit - first):
                found.append(near + hit - first)
                break
            hit = around.find(marker, hit + 1)
    return found


def _many_at_once(octets: UInt8, begins: list[int], region: int, end: int, layout: Layout) -> Int64:
    """From each place to the next one, the last to `region`; as far as each scan ends where the next one begins."""
    at = np.array(begins, np.int64)
    limits = np.append(at[1:], min(region, end - layout.length_at - 3))
    lengths: NDArray[np.uint32] = np.ndarray(
        (len(octets) - 3,), dtype=f"{layout.order}u4", buffer=octets.data, strides=(1,)
    )
    steps = []
    going = at < limits
    while going.any():
        steps.append(np.where(going, at, -1))
        places = at[going]
        at[going] = places + np.maximum(lengths[places + layout.length_at].astype(np.int64) + layout.extra, SMALLEST)
        going = at < limits
    wrong = np.flatnonzero(at[:-1] != limits[:-1])
    right = int(wrong[0]) + 1 if len(wrong) else len(begins)
    each = np.array(steps).T[:right]
    starts = each[each >= 0]
    following = int(at[right - 1])
    return np.append(starts, following) if following <= end else starts
