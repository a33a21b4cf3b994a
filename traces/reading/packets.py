"""Packets as columns: what a capture file says of each, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from traces.reading.segments import Int64, UInt8, UInt16

LARGEST_SNAP_LENGTH = 262_144  # libpcap's MAXIMUM_SNAPLEN: a longer packet is a damaged record
UNKNOWN_LINK = 0xFFFF

Register = Callable[[str, int], int]
"""From an interface's name (empty: the file's own) and how many of its section had that name before, to its index."""


@dataclass(frozen=True, slots=True, eq=False)
class Packets:
    """Packets of one piece. Arrays of equal length, in the order of the file."""

    seen: int
    """Packets of the piece, also those that are left out here because their records make no sense."""
    octets: UInt8
    """Those of the piece; `SLACK` more behind the last packet."""
    number: Int64
    """In the file, from 1."""
    interface: UInt16
    """Index into the names of the reading."""
    link: UInt16
    """LINKTYPE_ value."""
    time: Int64
    """Nanoseconds since 1970."""
    at: Int64
    """Where in `octets` the packet begins."""
    captured: Int64
    """Octets in the file."""
    length: Int64
    """Octets on the wire."""


def joined(parts: Sequence[Packets]) -> Packets:
    """Those of one piece that follow one another; at least one part."""
    if len(parts) == 1:
        return parts[0]
    columns = [one.name for one in fields(Packets) if one.name not in {"seen", "octets"}]
    return Packets(
        seen=sum(part.seen for part in parts),
        octets=parts[0].octets,
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns},
    )
