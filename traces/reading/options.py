"""TCP options (RFC 9293 section 3.1): the MPTCP ones of all segments, and all those of segments with SYN."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from traces.reading.octets import take
from traces.reading.segments import LONGEST_OPTIONS, Int64, MptcpOptions, SynOptions, UInt8, UInt16

END_OF_OPTIONS, NO_OPERATION, MPTCP = 0, 1, 30
SHORTEST_MPTCP = 3
SYN = 0x02
USUAL_TIMESTAMPS, LENGTH_TIMESTAMPS = 0x0101080A, 12
# Row L has ones in its first L octets: what an option of that length keeps of the octets behind its begin.
KEPT = np.tril(np.full((LONGEST_OPTIONS + 1, LONGEST_OPTIONS), 255, np.uint8), -1)


def find_mptcp(octets: UInt8, length: Int64) -> tuple[MptcpOptions, NDArray[np.bool_]]:
    """The MPTCP options in rows of TCP options, and which rows are malformed.

    `octets` has the shape (segments, 40), and `length` says how many of each row are options. All rows take a step
    from one option to the next together, so that there are as many steps as the longest list has options.
    """
    flat = np.zeros(octets.size + 2 * LONGEST_OPTIONS, np.uint8)
    flat[: octets.size] = octets.reshape(-1)
    malformed = np.zeros(len(octets), np.bool_)
    found: list[tuple[Int64, Int64, UInt8]] = []
    usual = leading_timestamps(octets, length)
    row = np.flatnonzero(length > usual)
    at, end = row * LONGEST_OPTIONS + usual[row], row * LONGEST_OPTIONS + length[row]
    while len(row):
        kind, size = flat[at], flat[at + 1]
        single = kind == NO_OPERATION
        size = np.where(single, 1, size)
        good = (kind == END_OF_OPTIONS) | single | ((size >= 2) & (at + size <= end))
        malformed[row[~good]] = True
        hit = good & (kind == MPTCP) & (size >= SHORTEST_MPTCP)
        found.append((row[hit], at[hit], size[hit]))
        at = at + size
        stays = good & (kind != END_OF_OPTIONS) & (at < end)
        row, at, end = row[stays], at[stays], end[stays]
    return _columns(flat, found), malformed


def leading_timestamps(octets: UInt8, length: Int64) -> Int64:
    """How many octets the two paddings and the timestamps take with which most segments begin (RFC 7323 appendix A)."""
    usual = (octets[:, :4].view(">u4")[:, 0] == USUAL_TIMESTAMPS) & (length >= LENGTH_TIMESTAMPS)
    return np.where(usual, LENGTH_TIMESTAMPS, 0)


def _columns(flat: UInt8, found: list[tuple[Int64, Int64, UInt8]]) -> MptcpOptions:
    row, at, size = (np.concatenate(parts) for parts in zip(*found, strict=True)) if found else (
        np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8)
    )  # fmt: skip
    order = np.argsort(at, kind="stable")
    row, at, size = row[order], at[order], size[order]
    octets = take(flat, at, LONGEST_OPTIONS)
    octets &= KEPT[size]
    return MptcpOptions(row=row, subtype=octets[:, 2] >> np.uint8(4), length=size, octets=octets)


def find_syn(octets: UInt8, length: Int64, flags: UInt16) -> SynOptions:
    """All options of the rows whose flags have SYN."""
    row = np.flatnonzero(flags & SYN)
    return SynOptions(row=row, length=length[row].astype(np.uint8), octets=octets[row] & KEPT[length[row]])
