"""A large capture, as of downloads with MPTCP v1 over two uplinks, made in seconds.

Its connections run at the same time. Each has two subflows that take turns: two segments of data, then the client's
acknowledgement. It begins with the handshakes; the downloads go on when the capture ends. Snap length 128.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.keys import initial_dsn, join_hmac, token

SNAP_LENGTH, LINK_ETHERNET = 128, 1
ETHERNET, IPV4, TCP, RECORD = 14, 20, 20, 16
HEADERS = ETHERNET + IPV4 + TCP
STAMPS = 12
SERVER, PORT = "198.51.100.8", 80
UPLINKS = (("192.168.1.21", 40_000), ("172.20.10.4", 50_000))
"""The client's address on each uplink, and the port of the first connection's subflow there."""
SEGMENT = 1424
"""Octets of data in a segment."""
BEGIN_SECONDS = 1_760_000_000
STEP_MICROSECONDS = 5
SYN, ACK = 0x02, 0x10
CLIENT_ISN, SERVER_ISN = 1_000, 2_000
HANDSHAKE_PACKETS = 7
BURST_PACKETS = 3
BATCH_BURSTS = 4096

Octets = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in the capture."""

    packets: int
    connections: int
    bytes_each: tuple[int, ...]
    """Octets of data from the server, by connection; acknowledged, all of them."""


def write_capture(path: Path, packets: int, connections: int = 8) -> Contents:
    """Write a capture of about so many packets."""
    downloads = [_Download(number) for number in range(connections)]
    bursts = max(2, (packets // connections - HANDSHAKE_PACKETS) // BURST_PACKETS)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAP_LENGTH, LINK_ETHERNET))
        for download in downloads:
            file.write(b"".join(_record(frame, at * 10) for at, frame in enumerate(download.handshakes())))
        for first in range(0, bursts, BATCH_BURSTS):
            _write_bursts(file, downloads, np.arange(first, min(bursts, first + BATCH_BURSTS)))
    return Contents(
        packets=connections * (HANDSHAKE_PACKETS + bursts * BURST_PACKETS),
        connections=connections,
        bytes_each=(2 * SEGMENT * bursts,) * connections,
    )


class _Download:
    """One connection: keys that follow from its number, and the frames of its two subflows."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.client_key = struct.pack("!Q", 0x0123456789ABCDEF ^ number)
        self.server_key = struct.pack("!Q", 0xFEDCBA9876543210 ^ number)
        self.first_dsn = (initial_dsn(self.server_key, 1) + 1) % 2**64
        self.nothing_acked = (initial_dsn(self.client_key, 1) + 1) % 2**64

    def up(
        self, uplink: int, sequence: int, flags: int, options: bytes, acknowledgement: int = SERVER_ISN + 1
    ) -> bytes:
        address, port = UPLINKS[uplink]
        return _frame((address, port + self.number), (SERVER, PORT), sequence, acknowledgement, flags, options, 0)

    def down(self, uplink: int, sequence: int, flags: int, options: bytes, payload: int = 0) -> bytes:
        address, port = UPLINKS[uplink]
        there = (address, port + self.number)
        return _frame((SERVER, PORT), there, sequence, CLIENT_ISN + 1, flags, options, payload)

    def handshakes(self) -> list[bytes]:
        """MP_CAPABLE on the first uplink, MP_JOIN on the second one (RFC 8684 sections 3.1 and 3.2)."""
        keys, nonces = (self.client_key, self.server_key), (self.number + 1, self.number + 2)
        capable, join = b"\x01\x01", struct.pack("!II", token(self.server_key, 1), nonces[0])
        theirs = join_hmac((keys[1], keys[0]), (nonces[1], nonces[0]), 1)[:8] + struct.pack("!I", nonces[1])
        syn, both = _syn_options, SYN | ACK
        return [
            self.up(0, CLIENT_ISN, SYN, syn(bytes((30, 4)) + capable), 0),
            self.down(0, SERVER_ISN, both, syn(bytes((30, 12)) + capable + keys[1])),
            self.up(0, CLIENT_ISN + 1, ACK, _stamps() + bytes((30, 20)) + capable + keys[0] + keys[1]),
            self.up(1, CLIENT_ISN, SYN, syn(bytes((30, 12, 0x10, 1)) + join), 0),
            self.down(1, SERVER_ISN, both, syn(bytes((30, 16, 0x10, 2)) + theirs)),
            self.up(1, CLIENT_ISN + 1, ACK, _stamps() + bytes((30, 24, 0x10, 0)) + join_hmac(keys, nonces, 1)),
            self.down(1, SERVER_ISN + 1, ACK, _stamps() + struct.pack("!BBBBQ", 30, 12, 0x20, 3, self.nothing_acked)),
        ]

    def bursts(self, uplink: int, numbers: NDArray[np.int64]) -> Octets:
        """Records of bursts of one subflow, a row for each; their times are yet to be set.

        `numbers` count the bursts of the connection; the subflow has every second one of them.
        """
        mapped = struct.pack("!BBBBIQIHBB", 30, 22, 0x20, 0x0D, self.nothing_acked % 2**32, 0, 0, SEGMENT, 1, 1)
        acked = struct.pack("!BBBBQ", 30, 12, 0x20, 3, 0)
        data = _record(self.down(uplink, 0, ACK, _stamps() + mapped, SEGMENT))
        answer = _record(self.up(uplink, CLIENT_ISN + 1, ACK, _stamps() + acked))
        rows = np.tile(np.frombuffer(data + data + answer, np.uint8), (len(numbers), 1))
        dsn = np.uint64(self.first_dsn) + (numbers * 2 * SEGMENT).astype(np.uint64)
        relative = numbers // 2 * 2 * SEGMENT + 1
        for part in range(2):
            begin, shift = len(data) * part + RECORD + HEADERS, SEGMENT * part
            _put(rows, begin - 16, SERVER_ISN + relative + shift, ">u4")
            _put(rows, begin + STAMPS + 8, dsn + np.uint64(shift), ">u8")
            _put(rows, begin + STAMPS + 16, relative + shift, ">u4")
            _put(rows, begin + 4, numbers, ">u4")
        begin = 2 * len(data) + RECORD + HEADERS
        _put(rows, begin + 4, numbers, ">u4")
        _put(rows, begin - 12, SERVER_ISN + relative + 2 * SEGMENT, ">u4")
        _put(rows, begin + STAMPS + 4, dsn + np.uint64(2 * SEGMENT), ">u8")
        return rows


def _write_bursts(file: BinaryIO, downloads: list[_Download], numbers: NDArray[np.int64]) -> None:
    """The bursts with these numbers of every connection, in turns."""
    rows: Octets | None = None
    for at, download in enumerate(downloads):
        for uplink in range(len(UPLINKS)):
            chosen = numbers % 2 == uplink
            made = download.bursts(uplink, numbers[chosen])
            if rows is None:
                rows = np.empty((len(numbers), len(downloads), made.shape[1]), np.uint8)
            rows[chosen, at] = made
    assert rows is not None
    flat = rows.reshape(-1, rows.shape[2])
    burst = int(numbers[0]) * len(downloads) + np.arange(len(flat))
    size = RECORD + SNAP_LENGTH
    for part in range(BURST_PACKETS):
        micros = (burst * BURST_PACKETS + part) * STEP_MICROSECONDS
        _put(flat, part * size, BEGIN_SECONDS + 1 + micros // 1_000_000, "<u4")
        _put(flat, part * size + 4, micros % 1_000_000, "<u4")
    file.write(flat.tobytes())


def _put(rows: Octets, column: int, values: NDArray[np.int64] | NDArray[np.uint64], kind: str) -> None:
    """Write a number into each row, from this column on."""
    octets = np.ascontiguousarray(values.astype(kind)).view(np.uint8).reshape(len(rows), -1)
    rows[:, column : column + octets.shape[1]] = octets


def _stamps() -> bytes:
    return struct.pack("!BBBBII", 1, 1, 8, 10, 1, 1)


def _syn_options(mptcp: bytes) -> bytes:
    """Those of Linux: MSS, SACK permitted, timestamps, window scale, MPTCP."""
    return struct.pack("!BBHBBBBIIBBBB", 2, 4, 1460, 4, 2, 8, 10, 1, 0, 1, 3, 3, 7) + mptcp


def _frame(
    source: tuple[str, int],
    to: tuple[str, int],
    sequence: int,
    acknowledgement: int,
    flags: int,
    options: bytes,
    payload: int,
) -> bytes:
    """A whole frame, with zeros for payload; checksums are left out."""
    words = (TCP + len(options)) // 4 << 12 | flags
    segment = struct.pack("!HHIIHHHH", source[1], to[1], sequence, acknowledgement, words, 512, 0, 0) + options
    header = struct.pack("!BBHHHBBH", 0x45, 0, IPV4 + len(segment) + payload, 1, 0x4000, 64, 6, 0)
    addresses = ip_address(source[0]).packed + ip_address(to[0]).packed
    return bytes(12) + b"\x08\x00" + header + addresses + segment + bytes(payload)


def _record(frame: bytes, microseconds: int = 0) -> bytes:
    kept = frame[:SNAP_LENGTH]
    return struct.pack("<IIII", BEGIN_SECONDS, microseconds, len(kept), len(frame)) + kept
