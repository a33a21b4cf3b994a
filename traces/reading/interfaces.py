"""Interfaces as a pcapng file describes them: link type, name, and how its time stamps count."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from traces.reading.segments import Int64, UInt64

NAME, RESOLUTION, OFFSET, END = 2, 9, 14, 0
MICROSECONDS = 6
"""The exponent where the file gives none."""
BINARY = 0x80
NANOSECOND_DIGITS, MOST_DIGITS = 9, 19
NANOSECONDS = 1_000_000_000
# Of a finer fraction only so many bits are kept: finer than a nanosecond, and no product overflows.
FRACTION_BITS = 30


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface of a section."""

    index: int
    """Among the names of the reading."""
    link: int
    snap_length: int
    """0: none."""
    resolution: int = MICROSECONDS
    """As in if_tsresol: digits of a decimal fraction of a second, or bits of a binary one where bit 7 is set."""
    offset: int = 0
    """Seconds to add to each time stamp."""

    def nanoseconds(self, ticks: UInt64) -> Int64:
        """Nanoseconds since 1970 for time stamps of this interface; without meaning for those beyond the year 2262."""
        exponent = self.resolution & ~BINARY
        if self.resolution & BINARY:
            since = _binary(ticks, exponent)
        elif exponent <= NANOSECOND_DIGITS:
            since = ticks * np.uint64(10 ** (NANOSECOND_DIGITS - exponent))
        else:
            since = ticks // np.uint64(10 ** min(exponent - NANOSECOND_DIGITS, MOST_DIGITS))
        return since.view(np.int64) + np.int64(self.offset * NANOSECONDS)


def _binary(ticks: UInt64, exponent: int) -> UInt64:
    """Nanoseconds of numbers that count seconds / 2**exponent."""
    if exponent > 63:
        return np.zeros_like(ticks)
    seconds = ticks >> np.uint64(exponent)
    fraction = ticks & np.uint64((1 << exponent) - 1)
    kept = min(exponent, FRACTION_BITS)
    fraction >>= np.uint64(exponent - kept)
    return seconds * np.uint64(NANOSECONDS) + (fraction * np.uint64(NANOSECONDS) >> np.uint64(kept))


def describe(block: bytes, order: str) -> tuple[str, Interface]:
    """The name (empty: it has none) and the rest of an interface description block, whose index is yet to be found."""
    if len(block) < 20:
        return "", Interface(0, 0xFFFF, 0)
    link, snap_length = struct.unpack_from(f"{order}H2xI", block, 8)
    options = dict(_options(block[16:-4], order))
    offset = options.get(OFFSET, b"")
    seconds = struct.unpack(f"{order}q", offset)[0] if len(offset) == 8 else 0
    resolution = options.get(RESOLUTION, b"")
    return options.get(NAME, b"").rstrip(b"\0").decode(errors="replace"), Interface(
        index=0,
        link=link,
        snap_length=snap_length,
        resolution=resolution[0] if resolution else MICROSECONDS,
        offset=max(-(2**33), min(seconds, 2**33)),
    )


def _options(octets: bytes, order: str) -> list[tuple[int, bytes]]:
    """Code and value of each option, as far as they are well formed."""
    found, at = [], 0
    while at + 4 <= len(octets):
        code, length = struct.unpack_from(f"{order}HH", octets, at)
        if code == END or at + 4 + length > len(octets):
            break
        found.append((code, octets[at + 4 : at + 4 + length]))
        at += 4 + (length + 3) // 4 * 4
    return found
