"""What is tried with octets that are taken for a capture: it is read and analysed, whatever they are."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from tempfile import NamedTemporaryFile

from lab.errors import BadInputError
from lab.telling import harmless
from tests.fuzzing.subject import Target
from tests.traces.mptcp.conversation import C2S, S2C, Conversation, Packet
from traces.mptcp.analysis import analyse
from traces.mptcp.form import as_json, as_lines
from traces.mptcp.model import Direction, MapKind, Trace
from traces.reading.reading import Reading, read_captures

LENGTH = 2
"""Octets before each packet, or each option list, that say how long it is."""
RAW_IP = 101
MOST_OPTIONS = 40
SMALL_PIECES = (3, 600)
"""Packets and octets of a piece."""


def check_file(data: bytes) -> None:
    """The octets are a file: pcap, pcapng, compressed, or none of these."""
    with NamedTemporaryFile(suffix=".pcap") as file:
        file.write(data)
        file.flush()
        path = Path(file.name)
        try:
            trace, reading = _read(path)
        except BadInputError:
            return
        again = read_captures([path], piece_packets=SMALL_PIECES[0], piece_octets=SMALL_PIECES[1])
        pieces = list(again)
        assert sum(map(len, pieces)) == again.segments
        assert _told(again) == _told(reading), "the size of pieces matters"
    _check(trace)


def check_packets(data: bytes) -> None:
    """The octets are IP packets, each with its length before it."""
    check_file(_pcap(_parts(data)))


def check_options(data: bytes) -> None:
    """The octets are TCP options, each list with its length before it: they go into the packets of a conversation."""
    packets = [packet.octets for packet in talk()]
    lists = _parts(data)
    for at, options in enumerate(lists[: len(packets)]):
        packets[at] = with_options(packets[at], options)
    check_file(_pcap(packets))


def talk() -> list[Packet]:
    """Two subflows, data both ways, and the end."""
    made = Conversation(1, 4, checksums=True)
    first = made.connect()
    second = made.join()
    for way in (first, second):
        made.data(way, C2S, 300)
        made.data(way, S2C, 700)
    made.close()
    return made.packets


def with_options(packet: bytes, options: bytes) -> bytes:
    """An IPv4 packet with other TCP options."""
    options = options[:MOST_OPTIONS].ljust(-(-len(options[:MOST_OPTIONS]) // 4) * 4, b"\0")
    header, tcp = bytearray(packet[:20]), bytearray(packet[20:40])
    payload = packet[20 + (tcp[12] >> 4) * 4 :]
    tcp[12] = (5 + len(options) // 4) << 4
    header[2:4] = struct.pack("!H", 40 + len(options) + len(payload))
    return bytes(header + tcp) + options + payload


def _parts(data: bytes) -> list[bytes]:
    parts, at = [], 0
    while at + LENGTH <= len(data):
        size = int.from_bytes(data[at : at + LENGTH], "big")
        parts.append(data[at + LENGTH : at + LENGTH + size])
        at += LENGTH + size
    return parts


def _pcap(packets: list[bytes]) -> bytes:
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IP)
    for number, packet in enumerate(packets):
        octets += struct.pack("<IIII", number, 0, len(packet), len(packet)) + packet
    return octets


def _told(reading: Reading) -> tuple[object, ...]:
    # A compressed stream may be damaged behind what is read of it: whether that is noticed depends on the piece.
    warnings = [warning for warning in reading.warnings if " stream is " not in warning]
    return reading.packets, reading.segments, reading.interfaces, warnings


def _read(path: Path) -> tuple[Trace, Reading]:
    reading = read_captures([path])
    return analyse(reading, reading.interfaces, ()), reading


def _check(trace: Trace) -> None:
    """What holds of every trace."""
    json.dumps(as_json(trace), allow_nan=False)
    assert all(harmless(line).replace("\t", "").isprintable() for line in as_lines(trace)), "a terminal would obey it"
    for connection in trace.connections:
        assert connection.duration >= 0
        assert min(connection.bytes.c2s, connection.bytes.s2c) >= 0
        mappings = connection.mappings
        for direction in Direction:
            mapped = sum((one.mapped.c2s, one.mapped.s2c)[direction] for one in connection.subflows)
            assert mapped == int(mappings.length[mappings.direction == direction].sum())
        assert set(mappings.kind.tolist()) <= set(MapKind)


TARGET = Target({"file": check_file, "packets": check_packets, "options": check_options})
