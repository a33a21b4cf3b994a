"""Reading TCP segments out of a pcap file.

Understands the classic pcap format with microseconds or nanoseconds in either byte order, and the link types that
uplinks have: Ethernet, raw IP (tunnels), and Linux cooked v1 (PPP) and v2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from lab.errors import MpsocksError

MAGIC_ORDER = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}
ETHERNET, RAW, RAW_BSD, COOKED_V1, COOKED_V2 = 1, 101, 12, 113, 276
LINK_HEADER = {ETHERNET: 14, RAW: 0, RAW_BSD: 0, COOKED_V1: 16, COOKED_V2: 20}
FILE_HEADER = 24
TCP = 6
SYN, ACK = 0x02, 0x10


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment. `payload` counts octets on the wire, also those that the capture cut off."""

    source: tuple[IPv4Address | IPv6Address, int]
    destination: tuple[IPv4Address | IPv6Address, int]
    ttl: int
    flags: int
    options: bytes
    payload: int

    @property
    def is_syn(self) -> bool:
        return self.flags & (SYN | ACK) == SYN

    @property
    def is_syn_ack(self) -> bool:
        return self.flags & (SYN | ACK) == SYN | ACK


def read_segments(path: Path) -> Iterator[Segment]:
    """The TCP segments of a capture, in order; what is not TCP or is cut off within its headers is left out."""
    octets = path.read_bytes()
    order = MAGIC_ORDER.get(octets[:4])
    if order is None or len(octets) < FILE_HEADER:
        raise MpsocksError(f"{path} is not a pcap file", why=f"it begins with {octets[:4].hex() or 'nothing'}")
    link = struct.unpack_from(f"{order}I", octets, 20)[0] & 0x0FFFFFFF
    if link not in LINK_HEADER:
        raise MpsocksError(f"{path} has link type {link}", why="known are Ethernet, raw IP and Linux cooked v1 and v2")
    record, at = struct.Struct(f"{order}IIII"), FILE_HEADER
    while at + record.size <= len(octets):
        _seconds, _fraction, kept, _length = record.unpack_from(octets, at)
        at += record.size
        segment = _segment(octets[at + LINK_HEADER[link] : at + kept])
        at += kept
        if segment:
            yield segment


def _segment(packet: bytes) -> Segment | None:
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20 and packet[9] == TCP:
        header, total = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
        source, destination, ttl = packet[12:16], packet[16:20], packet[8]
    elif version == 6 and len(packet) >= 40 and packet[6] == TCP:
        header, total = 40, 40 + int.from_bytes(packet[4:6], "big")
        source, destination, ttl = packet[8:24], packet[24:40], packet[7]
    else:
        return None
    tcp = packet[header:]
    if len(tcp) < 20 or len(tcp) < (tcp[12] >> 4) * 4:
        return None
    sport, dport = struct.unpack_from("!HH", tcp)
    data_offset = (tcp[12] >> 4) * 4
    return Segment(
        source=(ip_address(source), sport),
        destination=(ip_address(destination), dport),
        ttl=ttl,
        flags=tcp[13],
        options=tcp[20:data_offset],
        payload=max(0, total - header - data_offset),
    )
