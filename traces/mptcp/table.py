"""The segments of all files as one table: what the analysis needs of each, without the packets themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.options import Dss, Option
from traces.reading.segments import Int64, UInt8, UInt16, UInt32

Int32: TypeAlias = NDArray[np.int32]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
MAPPED_IPV4 = 0xFFFF_0000_0000


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
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Segments in the order of time. Each array has one entry for each segment."""

    time: Int64
    flow: Int32
    """Index into `pairs`."""
    direction: UInt8
    """0: from the first endpoint of the pair."""
    sequence: UInt32
    acknowledgement: UInt32
    flags: UInt8
    window: UInt16
    payload: UInt32
    hop_limit: UInt8
    tap: UInt32
    """File and interface, as `file << 16 | interface`."""
    identification: UInt16
    timestamp: UInt32
    sums: UInt16
    """Of the payload's 16-bit words, as in the Internet checksum (RFC 1071), not complemented."""
    whole: NDArray[np.bool_]
    """Whether `sums` is known: the payload was captured whole."""
    dss: Dss
    options: tuple[Option, ...]
    """All MPTCP options but DSS, in the order of the segments."""
    syn_options: dict[int, bytes]
    """All TCP options of segments with SYN, by row."""
    malformed: Int64
    """Rows of segments with a malformed DSS."""
    pairs: tuple[tuple[Endpoint, Endpoint], ...]

    def __len__(self) -> int:
        return len(self.time)


def select(table: Table, rows: Int64) -> Table:
    """The table with these rows, in this order; options follow their segments."""
    place = np.full(len(table), -1, np.int64)
    place[rows] = np.arange(len(rows))
    moved = place[table.dss.row]
    kept = np.flatnonzero(moved >= 0)
    kept = kept[np.argsort(moved[kept], kind="stable")]
    options = [replace(option, row=int(place[option.row])) for option in table.options if place[option.row] >= 0]
    malformed = place[table.malformed]
    columns = {name: getattr(table, name)[rows] for name in _COLUMNS}
    return replace(
        table, **columns,
        dss=replace(Dss(**{name: getattr(table.dss, name)[kept] for name in _DSS_COLUMNS}), row=moved[kept]),
        options=tuple(sorted(options, key=lambda option: option.row)),
        syn_options={int(place[row]): octets for row, octets in table.syn_options.items() if place[row] >= 0},
        malformed=np.sort(malformed[malformed >= 0]),
    )  # fmt: skip


_COLUMNS = {
    "time": np.int64, "flow": np.int32, "direction": np.uint8, "sequence": np.uint32, "acknowledgement": np.uint32,
    "flags": np.uint8, "window": np.uint16, "payload": np.uint32, "hop_limit": np.uint8, "tap": np.uint32,
    "identification": np.uint16, "timestamp": np.uint32,
    "sums": np.uint16, "whole": np.bool_,
}  # fmt: skip
_DSS_COLUMNS = {
    "row": np.int64, "flags": np.uint8, "ack": np.uint64, "dsn": np.uint64, "ssn": np.uint32, "length": np.uint16,
    "checksum": np.uint16, "checked": np.bool_,
}  # fmt: skip


def concatenated(pieces: Sequence[Table], pairs: tuple[tuple[Endpoint, Endpoint], ...]) -> Table:
    """All pieces as one table, in their order; rows of options already count from the first piece."""

    def column(name: str, kind: type[np.generic], parts: Sequence[Table | Dss]) -> NDArray[Any]:
        return np.concatenate([np.zeros(0, kind), *(getattr(part, name) for part in parts)])

    signals = [piece.dss for piece in pieces]
    return Table(
        **{name: column(name, kind, pieces) for name, kind in _COLUMNS.items()},
        dss=Dss(**{name: column(name, kind, signals) for name, kind in _DSS_COLUMNS.items()}),
        options=tuple(option for piece in pieces for option in piece.options),
        syn_options={row: octets for piece in pieces for row, octets in piece.syn_options.items()},
        malformed=np.concatenate([np.zeros(0, np.int64), *(piece.malformed for piece in pieces)]),
        pairs=pairs,
    )
