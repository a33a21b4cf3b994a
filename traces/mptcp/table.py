"""The segments of all files as one table: what the analysis needs of each, without the packets themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

import numpy as np

from traces.mptcp.options import Dss, Option
from traces.reading.segments import Bool, Int32, Int64, Integers, UInt8, UInt16, UInt32

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
BLOCK = 1 << 18
"""Rows that are worked on at once, where that takes much in between."""
MAPPED_IPV4 = 0xFFFF_0000_0000


def endpoint(address: str, port: int) -> str:
    """An address and a port as URLs have them (RFC 3986 section 3.2.2)."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """An address and a port."""

    high: int
    low: int
    port: int

    @property
    def address(self) -> str:
        if self.high == 0 and self.low >> 32 == MAPPED_IPV4 >> 32:
            return str(IPv4Address(self.low & 0xFFFF_FFFF))
        return str(IPv6Address(self.high << 64 | self.low))

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


@dataclass(slots=True, eq=False)
class Table:
    """Segments in the order of time. Each array has one entry for each segment."""

    time: Int64
    flow: Int32
    """Which TCP connection; in `Captured` as it is gathered, which of the `pairs`."""
    direction: UInt8
    """0: from who opened the connection; as it is gathered, from the first endpoint of the pair."""
    flags: UInt8
    window: UInt16
    payload: UInt32
    hop_limit: UInt8
    tap: UInt32
    """File and interface, as `file << 16 | interface`."""
    sums: UInt16
    """Of the payload's 16-bit words, as in the Internet checksum (RFC 1071), not complemented."""
    whole: Bool
    """Whether `sums` is known: the payload was captured whole."""
    options: tuple[Option, ...]
    """All MPTCP options but DSS, in the order of the segments."""
    syn_options: dict[int, bytes]
    """All TCP options of segments with SYN, by row."""
    malformed: Int64
    """Rows of segments with a malformed DSS."""

    def __len__(self) -> int:
        return len(self.time)

    def sides(self, rows: Integers | slice = slice(None)) -> Int32:
        """Which side of which flow sent each of these segments: twice the flow, and the direction."""
        return self.flow[rows] * 2 + self.direction[rows]


@dataclass(slots=True, eq=False)
class Captured(Table):
    """The same while TCP connections are looked for, with what nobody asks for after that."""

    sequence: UInt32
    acknowledgement: UInt32
    identification: UInt16
    timestamp: UInt32
    dss: Dss
    pairs: tuple[tuple[Endpoint, Endpoint], ...]

    def keep(self, rows: Int64) -> None:
        """Leave these segments, in this order; options follow them. Column by column: not all is there twice."""
        place = np.full(len(self), -1, np.int32)
        place[rows] = np.arange(len(rows), dtype=np.int32)
        for name in (*TABLE_COLUMNS, *HEADER_COLUMNS):
            setattr(self, name, getattr(self, name)[rows])
        row = place[self.dss.row]
        kept = np.flatnonzero(row >= 0)
        kept = kept[np.argsort(row[kept], kind="stable")]
        self.dss.row = row
        for name in DSS_COLUMNS:
            setattr(self.dss, name, getattr(self.dss, name)[kept])
        options = [replace(option, row=int(place[option.row])) for option in self.options if place[option.row] >= 0]
        self.options = tuple(sorted(options, key=lambda option: option.row))
        syns = self.syn_options.items()
        self.syn_options = {int(place[row]): octets for row, octets in syns if place[row] >= 0}
        malformed = place[self.malformed].astype(np.int64)
        self.malformed = np.sort(malformed[malformed >= 0])

    def as_table(self) -> Table:
        """What remains when the connections are found."""
        return Table(**{name: getattr(self, name) for name in Table.__slots__})


TABLE_COLUMNS: dict[str, type[np.generic]] = {
    "time": np.int64, "flow": np.int32, "direction": np.uint8, "flags": np.uint8, "window": np.uint16,
    "payload": np.uint32, "hop_limit": np.uint8, "tap": np.uint32, "sums": np.uint16, "whole": np.bool_,
}  # fmt: skip
HEADER_COLUMNS: dict[str, type[np.generic]] = {
    "sequence": np.uint32, "acknowledgement": np.uint32, "identification": np.uint16, "timestamp": np.uint32,
}  # fmt: skip
DSS_COLUMNS: dict[str, type[np.generic]] = {
    "row": np.int32, "flags": np.uint8, "ack": np.uint64, "dsn": np.uint64, "ssn": np.uint32, "length": np.uint16,
    "checksum": np.uint16, "checked": np.bool_,
}  # fmt: skip
