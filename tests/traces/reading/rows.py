"""Segments one by one, as objects: for tests, and for a listing of few of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TypeAlias

import numpy as np

from traces.reading.reading import read_captures
from traces.reading.segments import Int64, Segments, UInt8, UInt16, UInt64

SYN, ACK = 0x02, 0x10

Endpoint: TypeAlias = tuple[IPv4Address | IPv6Address, int]


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment. `payload` counts octets on the wire, also those that the capture cut off."""

    source: Endpoint
    destination: Endpoint
    ttl: int
    flags: int
    options: bytes
    """All of a SYN, of other segments the MPTCP ones."""
    payload: int

    @property
    def is_syn(self) -> bool:
        return self.flags & (SYN | ACK) == SYN

    @property
    def is_syn_ack(self) -> bool:
        return self.flags & (SYN | ACK) == SYN | ACK


def read_segments(path: Path) -> Iterator[Segment]:
    """The TCP segments of a capture, in order; what cannot be read is left out."""
    for piece in read_captures([path]):
        yield from rows(piece, np.arange(len(piece)))


def rows(piece: Segments, chosen: Int64) -> Iterator[Segment]:
    """Those of a piece; `chosen` has the numbers of their rows."""
    options = _options(piece, chosen)
    columns = zip(
        chosen.tolist(),
        _endpoints(piece.family[chosen], piece.source[chosen], piece.source_port[chosen]),
        _endpoints(piece.family[chosen], piece.destination[chosen], piece.destination_port[chosen]),
        piece.hop_limit[chosen].tolist(),
        piece.flags[chosen].tolist(),
        piece.payload[chosen].tolist(),
        strict=True,
    )
    for row, source, destination, ttl, flags, payload in columns:
        yield Segment(source, destination, ttl, flags, options.get(row, b""), payload)


def _endpoints(families: UInt8, addresses: UInt64, ports: UInt16) -> Iterator[Endpoint]:
    known: dict[tuple[int, int, int], IPv4Address | IPv6Address] = {}
    for family, (high, low), port in zip(families.tolist(), addresses.tolist(), ports.tolist(), strict=True):
        if (family, high, low) not in known:
            found = IPv4Address(low & 0xFFFFFFFF) if family == 4 else IPv6Address(high << 64 | low)
            known[family, high, low] = found
        yield known[family, high, low], port


def _options(piece: Segments, chosen: Int64) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for options in (piece.mptcp, piece.syn):
        wanted = np.isin(options.row, chosen)
        of_each: dict[int, bytes] = {}
        kept = (options.row[wanted].tolist(), options.length[wanted].tolist(), options.octets[wanted])
        for row, length, octets in zip(*kept, strict=True):
            of_each[row] = of_each.get(row, b"") + octets[:length].tobytes()
        found |= of_each
    return found
