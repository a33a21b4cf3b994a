"""Segments one by one, as objects: for captures that are small, and for what is told of few segments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import numpy as np

from traces.reading.reading import read_captures
from traces.reading.segments import Segments, UInt16, UInt64

SYN, ACK = 0x02, 0x10


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment. `payload` counts octets on the wire, also those that the capture cut off."""

    source: tuple[IPv4Address | IPv6Address, int]
    destination: tuple[IPv4Address | IPv6Address, int]
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
        yield from _rows(piece)


def _rows(piece: Segments) -> Iterator[Segment]:
    options = _options(piece)
    columns = zip(
        _endpoints(piece, piece.source, piece.source_port),
        _endpoints(piece, piece.destination, piece.destination_port),
        piece.hop_limit.tolist(),
        piece.flags.tolist(),
        piece.payload.tolist(),
        strict=True,
    )
    for row, (source, destination, ttl, flags, payload) in enumerate(columns):
        yield Segment(source, destination, ttl, flags, options.get(row, b""), payload)


def _endpoints(piece: Segments, address: UInt64, port: UInt16) -> Iterator[tuple[IPv4Address | IPv6Address, int]]:
    known: dict[tuple[int, int, int], IPv4Address | IPv6Address] = {}
    for family, (high, low), number in zip(piece.family.tolist(), address.tolist(), port.tolist(), strict=True):
        if (family, high, low) not in known:
            found = IPv4Address(low & 0xFFFFFFFF) if family == 4 else IPv6Address(high << 64 | low)
            known[family, high, low] = found
        yield known[family, high, low], number


def _options(piece: Segments) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for row, length, octets in zip(piece.mptcp.row.tolist(), piece.mptcp.length, piece.mptcp.octets, strict=True):
        found[row] = found.get(row, b"") + np.asarray(octets[:length]).tobytes()
    for row, length, octets in zip(piece.syn.row.tolist(), piece.syn.length, piece.syn.octets, strict=True):
        found[row] = np.asarray(octets[:length]).tobytes()
    return found
