"""The three kinds of pcapng blocks that hold a packet, as columns of the same fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traces.reading.octets import numbers, take
from traces.reading.segments import Int64, UInt8, UInt64

OBSOLETE, SIMPLE, ENHANCED = 2, 3, 6
PACKETS = (OBSOLETE, SIMPLE, ENHANCED)
HEADER, SIMPLE_HEADER, TRAILER = 28, 12, 4
"""Octets up to the packet, and behind its options."""


@dataclass(frozen=True, slots=True, eq=False)
class PacketBlocks:
    """The fields of packet blocks. Arrays of equal length."""

    interface: Int64
    """Of the section."""
    ticks: UInt64
    """The time stamp, in the interface's units."""
    at: Int64
    """Where the packet begins."""
    captured: Int64
    length: Int64
    fits: NDArray[np.bool_]
    """Whether the block is long enough for what it says was captured."""
    timeless: NDArray[np.bool_]
    """Whether the block has no time stamp."""


def read_fields(octets: UInt8, starts: Int64, order: str, snap_length: int) -> PacketBlocks:
    """Of the packet blocks that start there; `snap_length` is that of the section's first interface, 0 for none."""
    fields = numbers(take(octets, starts, HEADER), order).astype(np.int64)
    kind, size, interface, high, low, captured, length = fields.T
    # Of an obsolete block the first two octets, then come two with a count of drops.
    interface = np.where(kind == OBSOLETE, interface & 0xFFFF if order == "<" else interface >> 16, interface)
    simple = kind == SIMPLE
    header = np.where(simple, SIMPLE_HEADER, HEADER)
    if simple.any():
        length = np.where(simple, interface, length)
        limit = np.minimum(size - SIMPLE_HEADER - TRAILER, snap_length or size)
        captured = np.where(simple, np.clip(length, 0, limit), captured)
        interface = np.where(simple, 0, interface)
    return PacketBlocks(
        interface=interface,
        ticks=np.where(simple, 0, high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64)),
        at=starts + header,
        captured=captured,
        length=length,
        fits=header + captured + TRAILER <= size,
        timeless=simple,
    )
