"""The SYNs of each arm as octets, and the packets that answer them. IPv4 and IPv6. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from traces.neutrality.model import Arm, Reply

Address = IPv4Address | IPv6Address

TCP, ICMP, ICMPV6 = 6, 1, 58
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
END_OF_OPTIONS, NO_OPERATION, MSS, WINDOW_SCALE, TIMESTAMPS, MPTCP = 0, 1, 2, 3, 8, 30
EXPERIMENT = 253  # RFC 4727
MP_CAPABLE = 0
WINDOW = 64240
DO_NOT_FRAGMENT = 0x4000

# As Linux orders them: MSS 1460, SACK permitted, timestamps, padding, window scale 7. What an arm adds comes last.
COMMON = bytes.fromhex("020405b4 0402 080a01020304 00000000 01 030307")
ARM_OPTIONS = {
    Arm.PLAIN: b"",
    # MP_CAPABLE, version 1, HMAC-SHA256 (RFC 8684 section 3.1): in a SYN without a key.
    Arm.V1: bytes.fromhex("1e040101"),
    # MP_CAPABLE, version 0, checksums, HMAC-SHA1 (RFC 6824 section 3.1): with the sender's key, here a fixed one.
    Arm.V0: bytes.fromhex("1e0c0081 6d7073 6f636b7321"),
    # With an experiment identifier (RFC 6994) that nobody has registered.
    Arm.DUMMY: bytes((EXPERIMENT, 4)) + b"mp",
}


@dataclass(frozen=True, slots=True)
class Flow:
    """A 4-tuple, as its client sees it."""

    source: Address
    port: int
    target: Address
    target_port: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment with what its IP header says."""

    source: Address
    destination: Address
    ttl: int
    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int
    flags: int
    window: int
    options: bytes


def syn(flow: Flow, arm: Arm, ttl: int, sequence: int) -> bytes:
    """The IP packet of an arm's SYN. Arms differ in their options alone, and so in lengths and checksums."""
    return packet(flow, ttl, sequence, SYN, COMMON + ARM_OPTIONS[arm])


def reset(flow: Flow, ttl: int, sequence: int) -> bytes:
    """The IP packet that politely ends what a SYN-ACK began; `sequence` is what that acknowledged (RFC 9293, 3.5.3)."""
    return packet(flow, ttl, sequence, RST, b"")


def packet(flow: Flow, ttl: int, sequence: int, flags: int, options: bytes) -> bytes:
    """A segment without payload in its IP packet; `options` fill whole 32-bit words."""
    head = struct.pack(
        "!HHIIBBHHH",
        *(flow.port, flow.target_port, sequence, 0),
        *((20 + len(options)) // 4 << 4, flags, WINDOW, 0, 0),
    )
    segment = head + options
    addresses = flow.source.packed + flow.target.packed
    pseudo = addresses + struct.pack("!II", len(segment), TCP)
    segment = head[:16] + struct.pack("!H", checksum(pseudo + segment)) + head[18:] + options
    if flow.source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(segment), TCP, ttl) + addresses + segment
    # The sequence number's low half serves as identification: quotes are compared with it, too.
    fields = (0x45, 0, 20 + len(segment), sequence & 0xFFFF, DO_NOT_FRAGMENT, ttl, TCP)
    header = struct.pack("!BBHHHBBH", *fields, 0) + addresses
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + segment


def checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = octets + b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def split_ip(octets: bytes) -> tuple[int, bytes, bytes] | None:
    """Protocol, IP header and what it carries; None when it is no whole IP header. Without extension headers."""
    version = octets[0] >> 4 if octets else 0
    if version == 4 and len(octets) >= 20:
        length = max(20, (octets[0] & 15) * 4)
        return octets[9], octets[:length], octets[length:]
    if version == 6 and len(octets) >= 40:
        return octets[6], octets[:40], octets[40:]
    return None


def parse_segment(octets: bytes) -> Segment | None:
    """The TCP segment in an IP packet; None when there is none, or not the whole header."""
    parts = split_ip(octets)
    if parts is None or parts[0] != TCP:
        return None
    _, header, tcp = parts
    length = (tcp[12] >> 4) * 4 if len(tcp) >= 20 else 0
    if length < 20 or len(tcp) < length:
        return None
    source, destination, ttl = addresses_of(header)
    source_port, destination_port, sequence, acknowledgement, _, flags, window = struct.unpack_from("!HHIIBBH", tcp)
    return Segment(
        source, destination, ttl, source_port, destination_port,
        sequence, acknowledgement, flags, window, tcp[20:length],
    )  # fmt: skip


def addresses_of(header: bytes) -> tuple[Address, Address, int]:
    """Source, destination and TTL (hop limit) of an IP header."""
    if header[0] >> 4 == 4:
        return ip_address(header[12:16]), ip_address(header[16:20]), header[8]
    return ip_address(header[8:24]), ip_address(header[24:40]), header[7]


def option_list(octets: bytes) -> list[tuple[int, bytes]]:
    """Kind and content of each TCP option in order, padding included; as far as they are well formed."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(octets):
        kind = octets[at]
        if kind in (END_OF_OPTIONS, NO_OPERATION):
            found.append((kind, b""))
            at += 1
            continue
        length = octets[at + 1] if at + 1 < len(octets) else 0
        if length < 2 or at + length > len(octets):
            break
        found.append((kind, octets[at + 2 : at + length]))
        at += length
    return found


def fingerprint(segment: Segment) -> Reply:
    """What a segment tells of who sent it."""
    options = option_list(segment.options)
    first = dict(reversed(options))
    mss, scale = first.get(MSS, b""), first.get(WINDOW_SCALE, b"")
    return Reply(
        ttl=segment.ttl,
        window=segment.window,
        mss=int.from_bytes(mss, "big") if len(mss) == 2 else None,
        scale=scale[0] if len(scale) == 1 else None,
        options=tuple(kind for kind, _ in options),
        timestamps=TIMESTAMPS in first,
        mptcp=any(kind == MPTCP and content[:1] and content[0] >> 4 == MP_CAPABLE for kind, content in options),
    )
