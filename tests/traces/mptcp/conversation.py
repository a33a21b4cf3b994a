"""MPTCP conversations made up packet by packet, with what is true of them.

Written from RFC 8684 and RFC 6824 alone: nothing here is taken from the code that the tests try.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import struct
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
HASHES = {0: "sha1", 1: "sha256"}
C2S, S2C = 0, 1
RAW_IP = 101
MODULUS = 1 << 32


@dataclass(frozen=True)
class Packet:
    """An IP packet, and when it was sent."""

    nanoseconds: int
    octets: bytes


@dataclass
class Peer:
    """One end of the connection."""

    key: bytes
    initial_dsn: int
    next_dsn: int = 0
    """Of the next octet it sends."""
    received: int = 0
    """The next number that it expects."""
    data: dict[int, bytes] = field(default_factory=dict)
    """What it sent, by data sequence number."""


@dataclass
class Way:
    """A subflow; pairs are the client's value and the server's."""

    ends: tuple[str, str]
    """Each `address/port`."""
    isn: list[int]
    sent: list[int] = field(default_factory=lambda: [1, 1])
    """Octets that were sent, the SYN among them."""
    last: list[tuple[int, int, bytes]] = field(default_factory=lambda: [(0, 0, b"")] * 2)
    """The last segment with data: its sequence number, its DSN, its payload."""


@dataclass
class Truth:
    """Octets by direction, and by subflow and direction."""

    sent: list[int] = field(default_factory=lambda: [0, 0])
    unique: dict[tuple[int, int], int] = field(default_factory=dict)
    retransmitted: dict[tuple[int, int], int] = field(default_factory=dict)
    reinjected: dict[tuple[int, int], int] = field(default_factory=dict)
    reinjected_same: dict[tuple[int, int], int] = field(default_factory=dict)


def token_of(key: bytes, version: int) -> int:
    return int.from_bytes(hashlib.new(HASHES[version], key).digest()[:4], "big")


def internet_checksum(octets: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{(len(octets) + 1) // 2}H", octets + b"\0" * (len(octets) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Conversation:
    """A client and a server that speak MPTCP. Each method puts packets on the wire and goes on in time."""

    def __init__(
        self, version: int = 1, family: int = 4, *, checksums: bool = False, long: bool = True, seed: int = 0
    ) -> None:
        self.version, self.family, self.checksums, self.long = version, family, checksums, long
        self.random = random.Random(seed)
        self.packets: list[Packet] = []
        self.truth = Truth()
        self.ways: list[Way] = []
        self.peers = [self._peer(), self._peer()]
        for mine, peer in (self.peers, self.peers[::-1]):
            mine.received = peer.next_dsn
        self._clock = 1_700_000_000_000_000_000
        self._identification = 0
        self._carried: set[tuple[int, int, int]] = set()

    def _peer(self) -> Peer:
        key = self.random.randbytes(8)
        initial = int.from_bytes(hashlib.new(HASHES[self.version], key).digest()[-8:], "big")
        return Peer(key, initial, initial + 1)

    @property
    def tokens(self) -> tuple[str, str]:
        """The client's and the server's, 8 hex digits each."""
        client, server = (f"{token_of(peer.key, self.version):08x}" for peer in self.peers)
        return client, server

    def wait(self, milliseconds: int) -> None:
        self._clock += milliseconds * 1_000_000

    # The handshakes.

    def connect(self, *, isns: tuple[int, int] | None = None) -> Way:
        """The handshake of the first subflow."""
        way, (client, server) = self.new_way(isns), self.peers
        flags = 0x80 * self.checksums | 0x01
        asks = client.key if self.version == 0 else b""
        self.send(way, C2S, SYN, self.option(0, self.version, bytes([flags]) + asks))
        self.send(way, S2C, SYN | ACK, self.option(0, self.version, bytes([flags]) + server.key))
        self.send(way, C2S, ACK, self.option(0, self.version, bytes([flags]) + client.key + server.key))
        return way

    def join(self, *, opener: int = C2S, backup: bool = False, syns: int = 1, wrong_hmac: bool = False) -> Way:
        """The handshake of another subflow."""
        way = self.new_way()
        mine, peer = self.peers[opener], self.peers[1 - opener]
        nonces = self.random.randbytes(4), self.random.randbytes(4)
        token = struct.pack("!I", token_of(peer.key, self.version))
        number = bytes([len(self.ways)])
        for _ in range(syns):
            self.send(way, opener, SYN, self.option(1, int(backup), number + token + nonces[0]))
            self.wait(1000 * (syns > 1))
        answer = self._hmac(peer.key + mine.key, nonces[1] + nonces[0])
        self.send(way, 1 - opener, SYN | ACK, self.option(1, 0, b"\0" + answer[:8] + nonces[1]))
        proof = self._hmac(mine.key + peer.key, nonces[0] + nonces[1])
        proof = bytes(20) if wrong_hmac else proof[:20]
        self.send(way, opener, ACK, self.option(1, 0, b"\0" + proof))
        return way

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.digest(key, message, HASHES[self.version])

    def new_way(self, isns: tuple[int, int] | None = None) -> Way:
        number = len(self.ways)
        client, server = (
            (f"192.0.2.{number + 1}/{40000 + number}", "198.51.100.8/80")
            if self.family == 4
            else (f"2001:db8::{number + 1}/{40000 + number}", "2001:db8:f::8/80")
        )
        way = Way((client, server), list(isns or (self.random.randrange(MODULUS), self.random.randrange(MODULUS))))
        self.ways.append(way)
        return way

    # Data.

    def data(self, way: Way, direction: int, size: int, *, arrives: bool = True) -> None:
        """New data in one segment, with a mapping of its own, and its acknowledgement if it arrives."""
        sender, payload = self.peers[direction], self.random.randbytes(size)
        dsn = sender.next_dsn
        sender.data[dsn] = payload
        sender.next_dsn += size
        self.truth.sent[direction] += size
        self._count(self.truth.unique, way, direction, size)
        self._transmit(way, direction, dsn, payload, arrives=arrives)

    def again(self, way: Way, direction: int) -> None:
        """The last segment once more, under the same numbers, as TCP retransmits it: never at once."""
        self.wait(1)
        sequence, dsn, payload = way.last[direction]
        if payload:
            self._count(self.truth.retransmitted, way, direction, len(payload))
            self._segment(way, direction, sequence, dsn, payload)
            self.acknowledge(way, 1 - direction)

    def reinject(self, way: Way, direction: int, source: Way) -> None:
        """What was sent last over `source`, over this subflow."""
        _, dsn, payload = source.last[direction]
        if payload:
            was_there = (self.ways.index(way), direction, dsn) in self._carried
            there = self.truth.reinjected_same if was_there else self.truth.reinjected
            self._count(there, way, direction, len(payload))
            self._transmit(way, direction, dsn, payload, arrives=True)

    def _transmit(self, way: Way, direction: int, dsn: int, payload: bytes, *, arrives: bool) -> None:
        sequence = way.sent[direction]
        self._carried.add((self.ways.index(way), direction, dsn))
        way.last[direction] = (sequence, dsn, payload)
        way.sent[direction] += len(payload)
        self._segment(way, direction, sequence, dsn, payload)
        if arrives:
            self.acknowledge(way, 1 - direction)

    def _segment(self, way: Way, direction: int, sequence: int, dsn: int, payload: bytes) -> None:
        option = self.dss(direction, dsn=dsn, ssn=sequence, payload=payload)
        self.send(way, direction, ACK | PSH, option, payload=payload, sequence=sequence)

    def acknowledge(self, way: Way, direction: int) -> None:
        """All that the peer has sent is there."""
        self.peers[direction].received = self.peers[1 - direction].next_dsn
        self.send(way, direction, ACK, self.dss(direction))

    def data_fin(self, way: Way, direction: int) -> None:
        """The end of the data of one direction."""
        sender = self.peers[direction]
        self.send(way, direction, ACK, self.dss(direction, dsn=sender.next_dsn, ssn=0, fin=True))
        sender.next_dsn += 1
        self.acknowledge(way, 1 - direction)

    def close(self) -> None:
        """DATA_FINs, then FINs on every subflow."""
        for direction in (C2S, S2C):
            self.data_fin(self.ways[0], direction)
        for way in self.ways:
            for direction in (C2S, S2C):
                self.send(way, direction, ACK | FIN, self.dss(direction))
                way.sent[direction] += 1
            self.send(way, C2S, ACK, self.dss(C2S))

    def _count(self, there: dict[tuple[int, int], int], way: Way, direction: int, size: int) -> None:
        place = (self.ways.index(way), direction)
        there[place] = there.get(place, 0) + size

    # Options and packets.

    @staticmethod
    def option(subtype: int, low: int, rest: bytes) -> bytes:
        return bytes([30, 3 + len(rest), subtype << 4 | low]) + rest

    def dss(
        self, direction: int, *, dsn: int | None = None, ssn: int = 0, payload: bytes = b"", fin: bool = False
    ) -> bytes:
        """A data acknowledgement, and with `dsn` a mapping for the payload."""
        peer, size = self.peers[direction], 8 if self.long else 4
        flags = 0x01 | 0x02 * self.long
        rest = (peer.received % (1 << 8 * size)).to_bytes(size, "big")
        if dsn is not None:
            flags |= 0x04 | 0x08 * self.long | 0x10 * fin
            length = len(payload) + fin
            rest += (dsn % (1 << 8 * size)).to_bytes(size, "big") + struct.pack("!IH", ssn % MODULUS, length)
            if self.checksums:
                pseudo = struct.pack("!QIHH", dsn % (1 << 64), ssn % MODULUS, length, 0)
                rest += struct.pack("!H", internet_checksum(pseudo + payload))
        return self.option(2, 0, bytes([flags]) + rest)

    def send(
        self, way: Way, direction: int, flags: int, *options: bytes, payload: bytes = b"", sequence: int | None = None
    ) -> None:
        """One segment on the wire, a tenth of a millisecond after the one before."""
        self._clock += 100_000
        self._identification += 1
        number = 0 if flags & SYN else way.sent[direction] if sequence is None else sequence
        acked = (way.isn[1 - direction] + (1 if flags & SYN else way.sent[1 - direction])) % MODULUS
        clock = struct.pack("!BBBBII", 1, 1, 8, 10, self._clock // 1_000_000 % MODULUS, 0)
        listed = (b"\x03\x03\x07" * bool(flags & SYN)) + clock + b"".join(options)
        listed += b"\x01" * (-len(listed) % 4)
        source, destination = (end.split("/") for end in (way.ends if direction == C2S else way.ends[::-1]))
        tcp = struct.pack(
            "!HHIIBBHHH", int(source[1]), int(destination[1]), (way.isn[direction] + number) % MODULUS,
            acked * bool(flags & ACK), (20 + len(listed)) // 4 << 4, flags, 1000, 0, 0,
        )  # fmt: skip
        self.packets.append(Packet(self._clock, self._ip(source[0], destination[0], tcp + listed + payload)))

    def _ip(self, source: str, destination: str, tcp: bytes) -> bytes:
        ends = ip_address(source).packed + ip_address(destination).packed
        if self.family == 6:
            return struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + ends + tcp
        number = self._identification & 0xFFFF
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), number, 0x4000, 64, 6, 0) + ends + tcp


def write(path: Path, packets: list[Packet], *, snap_length: int = 65535) -> Path:
    """A pcap file with nanoseconds."""
    octets = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snap_length, RAW_IP)]
    for packet in packets:
        kept = packet.octets[:snap_length]
        octets.append(struct.pack("<IIII", *divmod(packet.nanoseconds, 10**9), len(kept), len(packet.octets)) + kept)
    path.write_bytes(b"".join(octets))
    return path
