"""Many small pieces out of one long row of octets at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.reading.segments import Int64, UInt8, UInt16, UInt32

SLACK = 128
"""Octets of zeros behind the last one of a window, so that a header may be taken wherever a packet ends."""


def take(octets: UInt8, at: Int64, width: int) -> UInt8:
    """The `width` octets at each place; shape (places, width). Each place must have so many octets behind it."""
    # Overlapping items of `width` octets: NumPy copies each with one memcpy, instead of an index for every octet.
    items: NDArray[Any] = np.ndarray((len(octets) - width + 1,), dtype=f"V{width}", buffer=octets.data, strides=(1,))
    return items[at].view(np.uint8).reshape(-1, width)


def big16(rows: UInt8, column: int) -> UInt16:
    """The number in network byte order in these two columns of rows from `take`."""
    return rows[:, column : column + 2].view(">u2")[:, 0].astype(np.uint16)


def big32(rows: UInt8, column: int) -> UInt32:
    return rows[:, column : column + 4].view(">u4")[:, 0].astype(np.uint32)


def numbers(rows: UInt8, order: str) -> UInt32:
    """All columns of rows from `take` as numbers of four octets, `order` being `<` or `>`; shape (rows, width / 4)."""
    return rows.view(f"{order}u4").astype(np.uint32)
