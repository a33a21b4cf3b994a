"""TCP segments as columns (NumPy arrays): what the reader makes and the analysis takes.

Every array of `Segments` has one entry (row) for each segment, in the order of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Int64: TypeAlias = NDArray[np.int64]
Int32: TypeAlias = NDArray[np.int32]
UInt64: TypeAlias = NDArray[np.uint64]
UInt32: TypeAlias = NDArray[np.uint32]
UInt16: TypeAlias = NDArray[np.uint16]
UInt8: TypeAlias = NDArray[np.uint8]
Bool: TypeAlias = NDArray[np.bool_]
Integers: TypeAlias = NDArray[np.integer[Any]]
"""Of any width."""

LONGEST_OPTIONS = 40
"""Octets of TCP options that a segment can have (RFC 9293 section 3.1)."""


@dataclass(frozen=True, slots=True, eq=False)
class MptcpOptions:
    """The MPTCP options (kind 30) of some segments; a segment may have several. Arrays of equal length."""

    row: Int64
    """Of the segment in its `Segments`; ascending."""
    subtype: UInt8
    length: UInt8
    """Of the whole option, kind and length octets included."""
    octets: UInt8
    """Shape (options, 40): the whole option, zeros behind it."""


@dataclass(frozen=True, slots=True, eq=False)
class SynOptions:
    """All TCP options of the segments with SYN set, as they stand on the wire. Arrays of equal length."""

    row: Int64
    length: UInt8
    octets: UInt8
    """Shape (segments, 40): zeros behind the options."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """TCP segments of one piece of one capture file."""

    file: int
    """Which of the files that are read together."""
    number: Int64
    """Of the packet in its file, from 1 as in Wireshark."""
    interface: UInt16
    """Index into the names of the reading's interfaces."""
    time: Int64
    """Nanoseconds since 1970."""
    family: UInt8
    """4 or 6."""
    source: UInt64
    """Shape (segments, 2): the high and the low half of an IPv6 address; IPv4 is mapped (::ffff:a.b.c.d)."""
    destination: UInt64
    source_port: UInt16
    destination_port: UInt16
    hop_limit: UInt8
    """TTL or hop limit."""
    identification: UInt16
    """Of the IPv4 packet; 0 with IPv6, which has none."""
    timestamp: UInt32
    """The sender's clock (TSval, RFC 7323); 0 where the options do not begin with it."""
    sequence: UInt32
    acknowledgement: UInt32
    flags: UInt16
    """As in the header: FIN is bit 0."""
    window: UInt16
    """As in the header, not scaled."""
    payload: UInt32
    """Octets on the wire, also those that the capture cut off."""
    captured: UInt32
    """Octets of the payload that are in the file."""
    payload_at: Int64
    """Where in `octets` the payload begins."""
    octets: UInt8
    """The packets of the piece, as in the file."""
    mptcp: MptcpOptions
    syn: SynOptions

    def __len__(self) -> int:
        return len(self.time)
