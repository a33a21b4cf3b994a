"""Packets made by hand, from TCP down to the link layer. Checksums are left out: nobody looks at them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from ipaddress import ip_address

CLIENT, SERVER = "192.0.2.1", "198.51.100.8"
CLIENT_V6, SERVER_V6 = "2001:db8::1", "2001:db8:8::8"
TIMESTAMPS = bytes((1, 1, 8, 10)) + bytes(range(8))
DSS = bytes((30, 20, 0x20, 0x05)) + bytes(range(16))
"""An MPTCP option: a mapping with a data acknowledgement."""


def tcp(
    *,
    flags: int = 0x10,
    options: bytes = b"",
    payload: bytes = b"",
    sequence: int = 1,
    ports: tuple[int, int] = (40000, 80),
) -> bytes:
    """A segment; `options` of a length that is a multiple of four."""
    words = (5 + len(options) // 4) << 12 | flags
    return struct.pack("!HHIIHHHH", *ports, sequence, 0xFFFFFFFF, words, 512, 0, 0) + options + payload


def ipv4(payload: bytes, *, options: bytes = b"", fragment: int = 0, length: int | None = None, kind: int = 6) -> bytes:
    """`fragment` is the field with the flags and the offset, `length` the total length where it is not the true one."""
    size = 20 + len(options)
    total = size + len(payload) if length is None else length
    header = struct.pack("!BBHHHBBH", 0x40 | size // 4, 0, total, 7, fragment, 63, kind, 0)
    return header + ip_address(CLIENT).packed + ip_address(SERVER).packed + options + payload


def ipv6(
    payload: bytes, *, extensions: Sequence[tuple[int, bytes]] = (), length: int | None = None, kind: int = 6
) -> bytes:
    """`extensions` are kinds with headers, whose first octet becomes the kind of the next one."""
    kinds = [*(one for one, _header in extensions), kind]
    body = b"".join(bytes((kinds[at + 1],)) + header[1:] for at, (_kind, header) in enumerate(extensions)) + payload
    start = struct.pack("!IHBB", 6 << 28, len(body) if length is None else length, kinds[0], 62)
    return start + ip_address(CLIENT_V6).packed + ip_address(SERVER_V6).packed + body


def ethernet(packet: bytes, *tags: int) -> bytes:
    """With a VLAN tag of each of these EtherTypes before the packet's own."""
    return bytes(12) + b"".join(struct.pack("!HH", tag, 7) for tag in tags) + ethertype(packet) + packet


def ethertype(packet: bytes) -> bytes:
    return b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"


def ppp_protocol(packet: bytes) -> bytes:
    return b"\x00\x21" if packet[0] >> 4 == 4 else b"\x00\x57"


def loopback(order: str, inet6: int) -> Callable[[bytes], bytes]:
    """With the address family before it, in this byte order; AF_INET6 is another number everywhere."""
    return lambda packet: struct.pack(f"{order}I", 2 if packet[0] >> 4 == 4 else inet6) + packet


def pppoe(packet: bytes) -> bytes:
    header = struct.pack("!BBHH", 0x11, 0, 1, len(packet) + 2)
    return bytes(12) + b"\x88\x64" + header + ppp_protocol(packet) + packet


LINKS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "ethernet": (1, ethernet),
    "802.1Q": (1, lambda packet: ethernet(packet, 0x8100)),
    "802.1ad": (1, lambda packet: ethernet(packet, 0x88A8, 0x8100)),
    "three tags": (1, lambda packet: ethernet(packet, 0x9100, 0x88A8, 0x8100)),
    "pppoe": (1, pppoe),
    "cooked v1": (113, lambda packet: bytes(14) + ethertype(packet) + packet),
    "cooked v1 with a tag": (113, lambda packet: bytes(14) + b"\x81\x00\x00\x07" + ethertype(packet) + packet),
    "cooked v2": (276, lambda packet: ethertype(packet) + bytes(18) + packet),
    "raw": (101, lambda packet: packet),
    "raw on BSD": (12, lambda packet: packet),
    "raw on OpenBSD": (14, lambda packet: packet),
    "ppp": (9, lambda packet: ppp_protocol(packet) + packet),
    "ppp, protocol in an octet": (9, lambda packet: ppp_protocol(packet)[1:] + packet),
    "ppp in HDLC framing": (9, lambda packet: b"\xff\x03" + ppp_protocol(packet) + packet),
    "ppp over a serial line": (50, lambda packet: b"\xff\x03" + ppp_protocol(packet) + packet),
    "null, little-endian": (0, loopback("<", 30)),
    "null, big-endian": (0, loopback(">", 24)),
    "null on Linux": (0, loopback("<", 10)),
    "loop": (108, loopback(">", 28)),
}
"""LINKTYPE_ number, and the packet with its link header, by name."""
