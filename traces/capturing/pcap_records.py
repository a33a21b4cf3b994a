"""Reading the records of a classic pcap file one after the other, as tcpdump writes them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from lab.errors import MpsocksError

FILE_HEADER = 24
RECORD_HEADER = 16
BUFFER = 1 << 20
MOST_KEPT = 1 << 20
"""Octets of a packet beyond which a record is damage, not a packet; tcpdump keeps 262144 at the most."""
NANOSECONDS, MICROSECONDS = 1, 1000
# Magic number in the file → byte order, and the nanoseconds in a time stamp's fraction.
MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", MICROSECONDS),
    b"\x4d\x3c\xb2\xa1": ("<", NANOSECONDS),
    b"\xa1\xb2\xc3\xd4": (">", MICROSECONDS),
    b"\xa1\xb2\x3c\x4d": (">", NANOSECONDS),
}


class Record(NamedTuple):
    """One packet of a file. Records sort by time, and those of the same time by file."""

    time: int
    """Nanoseconds since 1970."""
    file: int
    length: int
    """Octets on the wire."""
    octets: bytes
    """What was kept of it."""


@dataclass(slots=True)
class PcapFile:
    """An open pcap file. `damaged` is told once its records have been read: a record was cut off, or made no sense."""

    stream: BinaryIO
    order: str
    unit: int
    """Nanoseconds in the unit of the time stamps: 1 or 1000."""
    snap_length: int
    link_type: int
    damaged: bool = False

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a file; `MpsocksError` when it is no pcap file."""
        stream = path.open("rb", buffering=BUFFER)
        header = stream.read(FILE_HEADER)
        order, unit = MAGIC.get(header[:4], ("", 0))
        if not order or len(header) < FILE_HEADER:
            stream.close()
            raise MpsocksError(f"{path} is not a pcap file", why=f"it begins with {header[:4].hex() or 'nothing'}")
        snap_length, link = struct.unpack_from(f"{order}II", header, 16)
        return cls(stream, order, unit, snap_length, link & 0x0FFFFFFF)

    def records(self, file: int) -> Iterator[Record]:
        """Every whole record, in the order of the file; `file` is the number that they are to carry."""
        read, unpack, unit = self.stream.read, struct.Struct(f"{self.order}IIII").unpack, self.unit
        while len(head := read(RECORD_HEADER)) == RECORD_HEADER:
            seconds, fraction, kept, length = unpack(head)
            octets = read(kept) if kept <= MOST_KEPT else b""
            if len(octets) < kept:
                self.damaged = True
                return
            yield Record(seconds * 1_000_000_000 + fraction * unit, file, length, octets)
        self.damaged = bool(head)

    def close(self) -> None:
        self.stream.close()
