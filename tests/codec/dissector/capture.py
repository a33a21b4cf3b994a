"""Captures made by hand: TCP connections and UDP datagrams between a client and a proxy, segment by segment."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Self

CLIENT, PROXY = "192.0.2.1", "198.51.100.1"
PROXY_PORT = 1080
FIN, SYN, PSH, ACK = 1, 2, 8, 16
_TCP, _UDP = 6, 17


class Capture:
    """Frames in the order of time, a second each."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self._connections = 0

    def connection(self, *, port: int = PROXY_PORT, handshake: bool = True, client_port: int = 0) -> Connection:
        """A new TCP connection, which has the number in `tcp.stream` that it has in this capture."""
        self._connections += 1
        number = self._connections - 1
        return Connection(self, number, (CLIENT, client_port or 40000 + number), port, handshake)

    def datagram(self, payload: bytes, *, from_client: bool = True, port: int = PROXY_PORT) -> Self:
        """A UDP datagram between the client's port 5000 and the proxy's."""
        ends = (CLIENT, 5000), (PROXY, port)
        (source, sport), (destination, dport) = ends if from_client else ends[::-1]
        udp = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
        self.frames.append(_ethernet(source, destination, _UDP, udp))
        return self

    def write(self, path: Path, *, snap_length: int = 262144) -> Path:
        """The capture as a pcap file; of each frame no more than `snap_length` octets are kept."""
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snap_length, 1))
            for second, frame in enumerate(self.frames):
                kept = frame[:snap_length]
                file.write(struct.pack("<IIII", second, 0, len(kept), len(frame)) + kept)
        return path


class Connection:
    """A TCP connection, of which segments can be sent in any order."""

    def __init__(self, capture: Capture, number: int, client: tuple[str, int], port: int, handshake: bool) -> None:
        self.number = number
        self._capture = capture
        self._client, self._server = client, (PROXY, port)
        # Sequence numbers that wrap soon, as they may; others each time, so that a port may be used again.
        self._starts = {True: 0xFFFFFFF0 - number * 9999, False: 7000 + number * 9999}
        self._sent = {True: 0, False: 0}
        if handshake:
            self._segment(True, -1, b"", SYN)
            self._segment(False, -1, b"", SYN | ACK)

    def client(self, *pieces: bytes) -> Self:
        """The client sends these, a segment each."""
        return self._send(True, pieces)

    def server(self, *pieces: bytes) -> Self:
        """The proxy sends these, a segment each."""
        return self._send(False, pieces)

    def at(self, from_client: bool, offset: int, payload: bytes) -> Self:
        """A segment with octets that stand at `offset` of their stream."""
        self._segment(from_client, offset, payload, ACK)
        return self

    def opening(self, payload: bytes) -> Self:
        """A SYN of the client with data: TCP Fast Open."""
        self._segment(True, -1, payload, SYN)
        self._sent[True] += len(payload)
        return self

    def end(self, payload: bytes = b"", *, from_client: bool = False) -> Self:
        """The last segment of one side."""
        self._segment(from_client, self._sent[from_client], payload, FIN | ACK)
        return self

    def _send(self, from_client: bool, pieces: Iterable[bytes]) -> Self:
        for piece in pieces:
            self._segment(from_client, self._sent[from_client], piece, PSH | ACK)
            self._sent[from_client] += len(piece)
        return self

    def _segment(self, from_client: bool, offset: int, payload: bytes, flags: int) -> None:
        ends = self._client, self._server
        (source, sport), (destination, dport) = ends if from_client else ends[::-1]
        seq = (self._starts[from_client] + offset) % 2**32
        ack = (self._starts[not from_client] + self._sent[not from_client]) % 2**32
        tcp = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 0xFFFF, 0, 0) + payload
        self._capture.frames.append(_ethernet(source, destination, _TCP, tcp))


def two_way_splits(octets: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every way to send these octets in two pieces."""
    return ((octets[:cut], octets[cut:]) for cut in range(1, len(octets)))


def single_octets(octets: bytes) -> tuple[bytes, ...]:
    """One octet per segment."""
    return tuple(bytes((octet,)) for octet in octets)


def _ethernet(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
    addresses = ip_address(source).packed + ip_address(destination).packed
    return bytes(12) + struct.pack("!H", 0x0800) + header + addresses + payload
