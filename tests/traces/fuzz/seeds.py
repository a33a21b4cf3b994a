"""Where fuzzing of captures starts: small captures of every format, and packets and options out of conversations."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import zstandard

from tests.traces.fuzz.target import TARGET, talk
from tests.traces.mptcp.conversation import Conversation
from tests.traces.reading import files

CAPTURES = Path(__file__).parents[2] / "captures"
LARGEST = 6000
VERSIONS = ((0, 4), (0, 6), (1, 4), (1, 6))


def seeds() -> list[bytes]:
    """All inputs to start from, in a fixed order."""
    captures = [path.read_bytes()[:LARGEST] for path in sorted(CAPTURES.glob("*/*.pcap"))]
    packets = [packet.octets for packet in talk()]
    made = [files.pcap(packets), files.pcap(packets, order=">", magic=files.NANOSECONDS), _pcapng(packets)]
    compressed = [pack(one) for one in made for pack in (gzip.compress, zstandard.compress)]
    return [
        *(TARGET.make_input("file", data) for data in (*captures, *made, *compressed)),
        *(TARGET.make_input("packets", _joined(some)) for some in _conversations()),
        *(TARGET.make_input("options", _joined(_options(some))) for some in _conversations()),
    ]


def _pcapng(packets: Iterable[bytes]) -> bytes:
    name = files.option("<", 2, b"eth0\x1b[2J\n")  # a terminal would obey it
    blocks = [files.section(), files.interface("<", name)]
    for number, packet in enumerate(packets):
        blocks.append(files.enhanced(packet, ticks=number) if number % 2 else files.simple(packet))
    return b"".join(blocks)


def _conversations() -> Iterator[list[bytes]]:
    for version, family in VERSIONS:
        made = Conversation(version, family)
        way = made.connect()
        made.join()
        made.data(way, 0, 100)
        made.close()
        yield [packet.octets for packet in made.packets]


def _options(packets: Iterable[bytes]) -> Iterator[bytes]:
    for packet in packets:
        tcp = packet[20:] if packet[0] >> 4 == 4 else packet[40:]
        yield tcp[20 : (tcp[12] >> 4) * 4]


def _joined(parts: Iterable[bytes]) -> bytes:
    return b"".join(struct.pack("!H", len(part)) + part for part in parts)
