"""From pieces of capture files to one table, with each segment's endpoints numbered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.checksum import payload_sums
from traces.mptcp.growing import Growing
from traces.mptcp.options import TIMESTAMPS, Dss, Option, Subtype, find_option, other_options, parse_dss
from traces.mptcp.table import DSS_COLUMNS, HEADER_COLUMNS, TABLE_COLUMNS, Captured, Endpoint
from traces.reading.segments import Int32, Int64, Segments, UInt8, UInt16, UInt64

LONGEST_WITH_CHECKSUM = 24
"""Octets of an MP_CAPABLE with data length and checksum (RFC 8684 section 3.1)."""
# Odd random constants: endpoints that collide on purpose would have to be made for them.
_MIX = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


class Gatherer:
    """Takes pieces one after the other, and keeps of each what the table needs."""

    def __init__(self) -> None:
        self._columns = _empty(TABLE_COLUMNS | HEADER_COLUMNS)
        self._dss = _empty(DSS_COLUMNS)
        self._options: list[Option] = []
        self._syn_options: dict[int, bytes] = {}
        self._malformed: list[Int64] = []
        self._pairs: dict[tuple[Endpoint, Endpoint], int] = {}
        self._rows = 0
        self._checked = False

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
        made: dict[str, NDArray[Any]] = {
            "flow": flow, "direction": direction, "flags": piece.flags.astype(np.uint8), "timestamp": timestamp,
            "tap": np.uint32(piece.file << 16) | piece.interface.astype(np.uint32), "sums": sums, "whole": whole,
        }  # fmt: skip
        for name, column in self._columns.items():
            column.append(made[name] if name in made else getattr(piece, name))
        for name, column in self._dss.items():
            column.append(dss.row + self._rows if name == "row" else getattr(dss, name))
        self._options += [replace(option, row=option.row + self._rows) for option in options]
        self._syn_options |= {row + self._rows: octets for row, octets in syn_options.items()}
        self._malformed.append(malformed + self._rows)
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
            numbers[at] = self._pairs.setdefault(pair, len(self._pairs))
            senders[at] = source[row] if pair[0] == one else destination[row]
        return numbers[inverse], (source != senders[inverse]).astype(np.uint8)

    def captured(self) -> Captured:
        """All pieces together, sorted by time; no more can be added."""
        captured = Captured(
            **_whole(self._columns), dss=Dss(**_whole(self._dss)), pairs=tuple(self._pairs),
            options=tuple(self._options), syn_options=self._syn_options,
            malformed=np.concatenate([np.zeros(0, np.int64), *self._malformed]),
        )  # fmt: skip
        if np.any(captured.time[1:] < captured.time[:-1]):
            captured.keep(np.argsort(captured.time, kind="stable"))
        return captured


def gather(pieces: Iterable[Segments]) -> Captured:
    """One table of all pieces, whichever file they come from."""
    gatherer = Gatherer()
    for piece in pieces:
        gatherer.add(piece)
    return gatherer.captured()


def _empty(kinds: Mapping[str, type[np.generic]]) -> dict[str, Growing]:
    return {name: Growing(kind) for name, kind in kinds.items()}


def _whole(columns: dict[str, Growing]) -> dict[str, Any]:
    """The columns' values, which are theirs no longer."""
    return {name: columns.pop(name).whole() for name in list(columns)}


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
