"""Small pcap files made by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
ETHERNET, RAW, RAW_BSD, COOKED_V1, COOKED_V2 = 1, 101, 12, 113, 276


def tcp_packet(
    source: str, destination: str, *, flags: int = 0x10, options: bytes = b"", payload: bytes = b""
) -> bytes:
    """An IP packet with a TCP segment from SOURCE to DESTINATION, each `address/port`; checksums are left out."""
    (from_, sport), (to, dport) = (end.split("/") for end in (source, destination))
    words = 5 + len(options) // 4
    tcp = struct.pack("!HHIIBBHHH", int(sport), int(dport), 0, 0, words << 4, flags, 0, 0, 0) + options + payload
    sender, receiver = ip_address(from_), ip_address(to)
    if sender.version == 4:
        header = struct.pack("!BBHIBBH", 0x45, 0, 20 + len(tcp), 0, 64, 6, 0)
    else:
        header = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64)
    return header + sender.packed + receiver.packed + tcp


def write_pcap(
    path: Path,
    packets: Iterable[bytes],
    *,
    order: str = "<",
    magic: int = MICROSECONDS,
    link: int = RAW,
    snap_length: int = 65535,
) -> Path:
    """A capture of these IP packets; the link header, if any, is zero."""
    header = {ETHERNET: 14, RAW: 0, RAW_BSD: 0, COOKED_V1: 16, COOKED_V2: 20}.get(link, 0)
    octets = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, snap_length, link)
    for number, packet in enumerate(packets):
        frame = bytes(header) + packet
        kept = frame[:snap_length]
        octets += struct.pack(f"{order}IIII", number, 0, len(kept), len(frame)) + kept
    path.write_bytes(octets)
    return path
