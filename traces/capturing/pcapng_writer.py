"""Writing pcapng: the blocks that a capture of several interfaces needs, in this machine's byte order.

Block layouts are those of draft-ietf-opsawg-pcapng: section header (4.1), interface description (4.2), enhanced packet
(4.3), interface statistics (4.6).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
BYTE_ORDER_MAGIC = 0x1A2B3C4D
UNKNOWN_LENGTH = -1
END_OF_OPTIONS = struct.pack("=HH", 0, 0)
SHB_OS, SHB_APPLICATION = 3, 4
IF_NAME, IF_DESCRIPTION, IF_RESOLUTION, IF_FILTER, IF_OS = 2, 3, 9, 11, 12
START, END, RECEIVED, DROPPED, ACCEPTED, DROPPED_BY_OS, DELIVERED = 2, 3, 4, 5, 6, 7, 8
STRING_FILTER = b"\0"
MICROSECONDS, NANOSECONDS = 6, 9
_PACKET = struct.Struct("=7I")
_LENGTH = struct.Struct("=I")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")

Option = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Interface:
    """What a file says of an interface."""

    name: str
    link_type: int
    snap_length: int
    resolution: int = NANOSECONDS
    """Negative power of ten: the unit of its time stamps in seconds."""
    description: str = ""
    expression: str = ""
    """The pcap filter."""
    system: str = ""
    """Operating system of the machine that has the interface."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """How a capture on an interface went. Times are nanoseconds since 1970; counts are packets, None if unknown."""

    started: int
    ended: int
    received: int | None = None
    """Those that came up from the interface and passed the filter, dropped ones included."""
    dropped: int | None = None
    """By whichever: the interface or the kernel."""
    dropped_by_kernel: int | None = None
    """For want of room in the capture's buffer."""
    delivered: int | None = None
    """Those that were written."""


class PcapngWriter:
    """Writes one section to `stream`. Interfaces are numbered in the order in which they are added."""

    def __init__(self, stream: BinaryIO, application: str, system: str) -> None:
        self._write = stream.write
        self._interfaces: list[Interface] = []
        body = struct.pack("=IHHq", BYTE_ORDER_MAGIC, 1, 0, UNKNOWN_LENGTH)
        self._block(SECTION, body + _options([(SHB_OS, system.encode()), (SHB_APPLICATION, application.encode())]))

    def add_interface(self, interface: Interface) -> int:
        """Describe an interface, before its first packet; return its number."""
        self._interfaces.append(interface)
        options = [
            (IF_NAME, interface.name.encode()),
            (IF_DESCRIPTION, interface.description.encode()),
            (IF_RESOLUTION, bytes([interface.resolution])),
            (IF_FILTER, STRING_FILTER + interface.expression.encode() if interface.expression else b""),
            (IF_OS, interface.system.encode()),
        ]
        body = struct.pack("=HHI", interface.link_type, 0, interface.snap_length)
        self._block(INTERFACE, body + _options(options))
        return len(self._interfaces) - 1

    def add_packet(self, interface: int, time: int, length: int, octets: bytes | memoryview) -> None:
        """Write a packet; `time` is in the unit of its interface, `length` in octets on the wire."""
        kept = len(octets)
        padding = _PADDING[kept & 3]
        whole = 32 + kept + len(padding)
        head = _PACKET.pack(PACKET, whole, interface, time >> 32, time & 0xFFFFFFFF, kept, length)
        self._write(b"".join((head, octets, padding, _LENGTH.pack(whole))))

    def add_statistics(self, interface: int, statistics: Statistics) -> None:
        """Say how the capture on an interface went, after its last packet."""
        unit = 10 ** (9 - self._interfaces[interface].resolution)
        counts = (
            (RECEIVED, statistics.received),
            (DROPPED, statistics.dropped),
            (ACCEPTED, statistics.received),
            (DROPPED_BY_OS, statistics.dropped_by_kernel),
            (DELIVERED, statistics.delivered),
        )
        options = [
            (START, _halves(statistics.started // unit)),
            (END, _halves(statistics.ended // unit)),
            *((code, struct.pack("=Q", count)) for code, count in counts if count is not None),
        ]
        body = struct.pack("=I", interface) + _halves(statistics.ended // unit)
        self._block(STATISTICS, body + _options(options))

    def _block(self, kind: int, body: bytes) -> None:
        length = _LENGTH.pack(12 + len(body))
        self._write(struct.pack("=I", kind) + length + body + length)


def _options(options: Iterable[Option]) -> bytes:
    """Those that say something, each padded to 32 bits."""
    said = [(code, value) for code, value in options if value]
    packed = [struct.pack("=HH", code, len(value)) + value + _PADDING[len(value) & 3] for code, value in said]
    return b"".join([*packed, END_OF_OPTIONS])


def _halves(time: int) -> bytes:
    """A time stamp: its high 32 bits first, in either byte order."""
    return struct.pack("=II", time >> 32, time & 0xFFFFFFFF)
