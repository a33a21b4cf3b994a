"""The Internet checksum (RFC 1071) of many payloads at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from traces.reading.segments import Bool, Int64, Segments, UInt16, UInt64


def folded(sums: UInt64) -> UInt16:
    """The sums with their carries added, 16 bits each."""
    for _ in range(4):
        sums = (sums & np.uint64(0xFFFF)) + (sums >> np.uint64(16))
    return sums.astype(np.uint16)


def payload_sums(piece: Segments) -> tuple[UInt16, Bool]:
    """The sum of each segment's payload as 16-bit words, and whether it is all there to be summed."""
    whole = (piece.captured == piece.payload) & (piece.payload > 0)
    rows = np.flatnonzero(whole)
    sums = np.zeros(len(piece), np.uint16)
    if len(rows):
        sums[rows] = folded(_sums(piece.octets, piece.payload_at[rows], piece.payload[rows].astype(np.int64)))
    return sums, whole


def _sums(octets: NDArray[np.uint8], start: Int64, size: Int64) -> UInt64:
    """Words are laid from the even octets on, as the array has them; those that begin at odd ones are turned after."""
    end = start + size
    # One more, since reduceat takes no index behind the last.
    words = np.append(octets[: len(octets) & ~1].view(">u2"), np.zeros(1, ">u2"))
    first, last = (start + 1) >> 1, end >> 1
    edges = np.stack((first, last), axis=1).ravel()
    inner = np.add.reduceat(words, edges, dtype=np.uint64)[::2]
    total = np.where(first < last, inner, np.uint64(0))
    odd = start & 1 == 1
    total += np.where(odd, octets[start], 0).astype(np.uint64)
    total += np.where(end & 1 == 1, octets[end - 1].astype(np.uint64) << np.uint64(8), np.uint64(0))
    return np.where(odd, folded(total).byteswap(), folded(total)).astype(np.uint64)
