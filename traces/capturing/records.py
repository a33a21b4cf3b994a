"""The packets of a classic pcap file one after the other, as they are merged."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from lab.errors import MpsocksError
from traces.reading.pcap import FILE_HEADER, LINK_BITS, PcapReader, find_format
from traces.reading.stream import Stream, Window
from traces.reading.tally import Tally

PIECE = 1 << 13
WINDOW = 1 << 20

Record = tuple[int, int, int, memoryview]
"""Nanoseconds since 1970, number of the file, octets on the wire, what was kept. Sorts by time, then by file."""


class Records:
    """An open pcap file: what it says of itself, and its packets."""

    def __init__(self, path: Path) -> None:
        """Open a file; `MpsocksError` when it is no pcap file."""
        self._stream = path.open("rb")
        header = self._stream.read(FILE_HEADER)
        format_ = find_format(header[:4]) if len(header) == FILE_HEADER else None
        if format_ is None:
            self._stream.close()
            raise MpsocksError(f"{path} is not a pcap file", why=f"it begins with {header[:4].hex() or 'nothing'}")
        self._format = format_
        self._stream.seek(0)
        self._tally = Tally(path)
        self.snap_length, link = struct.unpack_from(f"{format_.order}II", header, 16)
        self.link_type = link & LINK_BITS

    @property
    def unit(self) -> int:
        """Nanoseconds in the unit of its time stamps: 1 or 1000."""
        return self._format.unit

    @property
    def warnings(self) -> list[str]:
        """What was odd about it, once all has been read."""
        return self._tally.warnings()

    def numbered(self, file: int) -> Iterator[Record]:
        """Every whole packet, in the order of the file; `file` is the number that they are to carry."""
        reader = PcapReader(Window(Stream(self._stream), WINDOW), self._format, self._tally, 0)
        for piece in reader.pieces(PIECE):
            octets = memoryview(piece.octets)  # type: ignore[arg-type]
            columns = (piece.time, piece.length, piece.at, piece.captured)
            for time, length, at, kept in zip(*(column.tolist() for column in columns), strict=True):
                yield time, file, length, octets[at : at + kept]

    def close(self) -> None:
        self._stream.close()
