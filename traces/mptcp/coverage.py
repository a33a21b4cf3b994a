"""Which octets of a stream were sent before, and how: new, retransmitted, reinjected.

All streams are looked at together. Their octets are cut wherever a piece of data begins or ends; what lies between two
cuts was sent as a whole each time, so that comparing whole pieces is enough, and sorting finds the equal ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traces.mptcp.model import MapKind
from traces.reading.segments import Bool, Int64, Integers, UInt8, UInt32

REACH = 1 << 40
"""Positions in a stream are below this: more than a tebibyte in one connection is taken for damage."""
FRAGMENTS = 8
"""Cuts for each piece of data, on average, beyond which each piece is judged by its first octets only."""


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """Data in the order of time. Arrays of equal length."""

    stream: Integers
    start: Int64
    """Position in the stream, 0 to `REACH`."""
    length: UInt32
    """1 or more."""
    subflow: Integers
    sequence: Int64
    """TCP's number, widened: as far from `start` when a segment is sent again."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The data again, cut where the kind changes; in the order of time, then of position."""

    index: Int64
    """Into `Sent`."""
    start: Int64
    length: Integers
    kind: UInt8
    """A `MapKind`."""


def classify(sent: Sent) -> Parts:
    """Say of each part of the data whether it was sent before."""
    low = sent.stream * np.int64(REACH) + sent.start
    high = low + sent.length
    overlaps = _overlaps(low, high)
    some = np.flatnonzero(overlaps)
    if not len(some):
        return _whole(sent, np.full(len(low), MapKind.NEW, np.uint8))
    cut = _cut(sent, low[some], high[some], some)
    alone = np.flatnonzero(~overlaps)
    index = np.concatenate((alone, cut.index))
    order = np.argsort(index, kind="stable")
    return Parts(
        index[order],
        np.concatenate((sent.start[alone], cut.start))[order],
        np.concatenate((sent.length[alone], cut.length))[order],
        np.concatenate((np.full(len(alone), MapKind.NEW, np.uint8), cut.kind))[order],
    )


def _overlaps(low: Int64, high: Int64) -> Bool:
    """Which ranges share octets with another, or lie in a row of such that do."""
    order = np.argsort(low, kind="stable")
    reach = np.maximum.accumulate(high[order])
    joined = low[order][1:] < reach[:-1]
    overlaps = np.zeros(len(low), bool)
    overlaps[order[1:]] = joined
    overlaps[order[:-1]] |= joined
    return overlaps


def _cut(sent: Sent, low: Int64, high: Int64, some: Int64) -> Parts:
    """The parts of `some` of the data, which lie at `low` to `high`."""
    cuts = _distinct(np.concatenate((low, high)))
    first = np.searchsorted(cuts, low)
    count = np.searchsorted(cuts, high) - first
    if count.sum() > FRAGMENTS * len(low) + 1_000_000:
        return Parts(some, sent.start[some], sent.length[some], _kinds(sent, first, some))
    index = np.repeat(some, count)
    within = np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count)
    interval = np.repeat(first, count) + within
    kind = _kinds(sent, interval, index)
    changes = np.flatnonzero((within == 0) | (kind != np.roll(kind, 1)))
    ends = cuts[interval[np.append(changes[1:], len(index)) - 1] + 1]
    begins = cuts[interval[changes]]
    return Parts(index[changes], begins % REACH, ends - begins, kind[changes])


def _distinct(values: Int64) -> Int64:
    """The values sorted, each once; `np.unique` hashes first, which is slower for so many."""
    ordered = np.sort(values)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))] if len(ordered) else ordered


def _whole(sent: Sent, kind: UInt8) -> Parts:
    return Parts(np.arange(len(kind)), sent.start, sent.length, kind)


def _kinds(sent: Sent, interval: Int64, index: Int64) -> UInt8:
    """Of each occurrence of an interval, `index` saying in which piece of data, and pieces being in order of time."""
    kind = np.full(len(interval), MapKind.NEW, np.uint8)
    often = np.flatnonzero((np.bincount(interval) > 1)[interval])
    interval, index = interval[often], index[often]
    subflow, shift = sent.subflow[index], sent.sequence[index] - sent.start[index]
    again, same_subflow = (_repeated(keys) for keys in ((interval, subflow, shift), (interval, subflow)))
    known = _repeated((interval,))
    kind[often[known]] = MapKind.REINJECTED
    kind[often[same_subflow]] = MapKind.REINJECTED_SAME
    kind[often[again]] = MapKind.RETRANSMITTED
    return kind


def _repeated(keys: tuple[Integers, ...]) -> Bool:
    """Whether the same keys came before. `np.lexsort` is stable: equal ones stay in the order of time."""
    order = np.lexsort(keys[::-1])
    same = np.ones(max(len(order) - 1, 0), bool)
    for key in keys:
        ordered = key[order]
        same &= ordered[1:] == ordered[:-1]
    repeated = np.zeros(len(order), bool)
    repeated[order[1:][same]] = True
    return repeated
