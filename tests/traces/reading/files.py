"""Capture files made by hand, octet by octet."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from tests.traces.reading.packets import tcp
from traces.reading.reading import Reading, read_captures
from traces.reading.segments import Segments

MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
RAW = 101
SECONDS, NANOS = 1_700_000_000, 123_456_000
"""When the first packet was captured; each is a second later than the one before."""


def pcap(
    packets: Iterable[bytes], *, order: str = "<", magic: int = MICROSECONDS, link: int = RAW, snap_length: int = 65535
) -> bytes:
    """A pcap file of these packets, each cut to the snap length."""
    octets = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, snap_length, link)
    fraction = NANOS // (1000 if magic == MICROSECONDS else 1)
    for number, packet in enumerate(packets):
        kept = packet[:snap_length]
        octets += struct.pack(f"{order}IIII", SECONDS + number, fraction, len(kept), len(packet)) + kept
    return octets


def block(order: str, kind: int, body: bytes) -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    return struct.pack(f"{order}II", kind, len(body) + 12) + body + struct.pack(f"{order}I", len(body) + 12)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<") -> bytes:
    """A section header; its length is not given, as of one that is written while it is captured."""
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str = "<", *options: bytes, link: int = RAW, snap_length: int = 0) -> bytes:
    end = option(order, 0, b"") if options else b""
    return block(order, 1, struct.pack(f"{order}HHI", link, 0, snap_length) + b"".join(options) + end)


def enhanced(packet: bytes, order: str = "<", *, of: int = 0, ticks: int = 0, length: int = 0) -> bytes:
    """An enhanced packet block; `length` is that on the wire, where more was sent than captured."""
    head = struct.pack(f"{order}IIIII", of, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), length or len(packet))
    return block(order, 6, head + packet)


def simple(packet: bytes, order: str = "<", *, length: int = 0) -> bytes:
    return block(order, 3, struct.pack(f"{order}I", length or len(packet)) + packet)


def obsolete(packet: bytes, order: str = "<", *, of: int = 0, drops: int = 0, ticks: int = 0) -> bytes:
    times = (ticks >> 32, ticks & 0xFFFFFFFF)
    return block(order, 2, struct.pack(f"{order}HHIIII", of, drops, *times, len(packet), len(packet)) + packet)


def numbered(count: int) -> list[bytes]:
    """So many segments, told apart by their sequence numbers: 0, 1, …"""
    return [tcp(sequence=number) for number in range(count)]


def read(
    path: Path, octets: bytes | None = None, *, piece_packets: int = 1 << 15, piece_octets: int = 1 << 22
) -> tuple[list[Segments], Reading]:
    """All pieces of a file, which is written first where `octets` are given; and the reading."""
    if octets is not None:
        path.write_bytes(octets)
    reading = read_captures([path], piece_packets=piece_packets, piece_octets=piece_octets)
    return list(reading), reading


def read_one(path: Path, octets: bytes) -> Segments:
    """The only piece of a file with these octets, of which there is nothing to warn."""
    (piece,), reading = read(path, octets)
    assert reading.warnings == []
    return piece
