"""The segments of all files as one table: what the analysis needs of each, without the packets themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.checksum import payload_sums
from traces.mptcp.options import TIMESTAMPS, Dss, Option, Subtype, find_option, other_options, parse_dss
from traces.reading.segments import Int64, Segments, UInt8, UInt16, UInt32, UInt64

Int32: TypeAlias = NDArray[np.int32]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
LONGEST_WITH_CHECKSUM = 24
"""Octets of an MP_CAPABLE with data length and checksum (RFC 8684 section 3.1)."""
MAPPED_IPV4 = 0xFFFF_0000_0000
# Odd random constants: endpoints that collide on purpose would have to be made for them.
_MIX = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


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


@dataclass(slots=True)
class Gatherer:
    """Takes pieces one after the other, and keeps of each what the table needs."""

    pieces: list[Table] = field(default_factory=list)
    _flows: dict[tuple[Endpoint, Endpoint], int] = field(default_factory=dict)
    _rows: int = 0
    _checked: bool = False

    def add(self, piece: Segments) -> None:
        dss, malformed = parse_dss(piece.mptcp)
        options = other_options(piece.mptcp)
        # Only where checksums are in use, since it reads every octet.
        self._checked |= bool(dss.checked.any()) or any(
            option.subtype == Subtype.MP_CAPABLE and len(option.octets) == LONGEST_WITH_CHECKSUM for option in options
        )
        nothing = np.zeros(len(piece), np.uint16), np.zeros(len(piece), bool)
        sums, whole = payload_sums(piece) if self._checked else nothing
        flow, direction = self._intern(piece)
        syn_options = {
            int(row): octets[:length].tobytes()
            for row, length, octets in zip(piece.syn.row, piece.syn.length, piece.syn.octets, strict=True)
        }
        timestamp = piece.timestamp.copy()
        for row, octets in syn_options.items():
            timestamp[row] = int.from_bytes(find_option(octets, TIMESTAMPS)[:4], "big")
        self.pieces.append(
            Table(
                time=piece.time, flow=flow, direction=direction, sequence=piece.sequence,
                acknowledgement=piece.acknowledgement, flags=(piece.flags & 0xFF).astype(np.uint8),
                # A column of the headers would keep them all in memory.
                window=piece.window, payload=piece.payload, hop_limit=piece.hop_limit.copy(),
                tap=np.uint32(piece.file << 16) | piece.interface.astype(np.uint32),
                identification=piece.identification, timestamp=timestamp, sums=sums, whole=whole,
                dss=replace(dss, row=dss.row + self._rows),
                options=tuple(replace(option, row=option.row + self._rows) for option in options),
                syn_options={row + self._rows: octets for row, octets in syn_options.items()},
                malformed=malformed + self._rows, pairs=(),
            )
        )  # fmt: skip
        self._rows += len(piece)

    def _intern(self, piece: Segments) -> tuple[Int32, UInt8]:
        """The pair of endpoints of each segment, and which of the two sent it."""
        source = _hash(piece.source, piece.source_port)
        destination = _hash(piece.destination, piece.destination_port)
        _, first, inverse = np.unique(source + destination, return_index=True, return_inverse=True)
        numbers = np.empty(len(first), np.int32)
        senders = np.empty(len(first), np.uint64)
        for at, row in enumerate(first):
            one, other = (
                _endpoint(piece.source, piece.source_port, row),
                _endpoint(piece.destination, piece.destination_port, row),
            )
            pair = (one, other) if one <= other else (other, one)
            numbers[at] = self._flows.setdefault(pair, len(self._flows))
            senders[at] = source[row] if pair[0] == one else destination[row]
        return numbers[inverse], (source != senders[inverse]).astype(np.uint8)

    def table(self) -> Table:
        """All pieces together, sorted by time."""
        joined = _concatenated(self.pieces, tuple(self._flows))
        self.pieces.clear()
        if np.all(joined.time[1:] >= joined.time[:-1]):
            return joined
        return select(joined, np.argsort(joined.time, kind="stable"))


def gather(pieces: Iterable[Segments]) -> Table:
    """One table of all pieces, whichever file they come from."""
    gatherer = Gatherer()
    for piece in pieces:
        gatherer.add(piece)
    return gatherer.table()


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


def _concatenated(pieces: list[Table], pairs: tuple[tuple[Endpoint, Endpoint], ...]) -> Table:
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


def _hash(address: UInt64, port: UInt16) -> UInt64:
    with np.errstate(over="ignore"):
        mixed = address[:, 0] * np.uint64(_MIX[0]) ^ (
            address[:, 1] + port.astype(np.uint64) * np.uint64(_MIX[1])
        ) * np.uint64(_MIX[2])
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(_MIX[3])
        return mixed ^ mixed >> np.uint64(32)


def _endpoint(address: UInt64, port: UInt16, row: int) -> Endpoint:
    return Endpoint(int(address[row, 0]), int(address[row, 1]), int(port[row]))
