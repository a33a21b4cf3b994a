"""From pieces of capture files to one table, with each segment's endpoints numbered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from traces.mptcp.checksum import payload_sums
from traces.mptcp.options import TIMESTAMPS, Subtype, find_option, other_options, parse_dss
from traces.mptcp.table import Endpoint, Int32, Table, concatenated, select
from traces.reading.segments import Segments, UInt8, UInt16, UInt64

LONGEST_WITH_CHECKSUM = 24
"""Octets of an MP_CAPABLE with data length and checksum (RFC 8684 section 3.1)."""
# Odd random constants: endpoints that collide on purpose would have to be made for them.
_MIX = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


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
        joined = concatenated(self.pieces, tuple(self._flows))
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
