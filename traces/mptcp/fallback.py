"""Why an MPTCP connection went on as plain TCP (RFC 8684 section 3.7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traces.mptcp.evidence import Evidence
from traces.mptcp.model import Event, EventKind, Int64
from traces.mptcp.options import Subtype
from traces.mptcp.table import ACK, SYN
from traces.reading.segments import Int32, Integers


@dataclass(frozen=True, slots=True)
class Fallback:
    """What showed it first, and when."""

    why: str
    event: Event


class Fallbacks:
    """Finds them, connection by connection."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        table, connection = evidence.flows.table, evidence.streams.connection
        self._infinite = _first_rows(connection, table.flow, evidence.mapped.infinite)
        failed = np.array([option.row for option in table.options if option.subtype == Subtype.MP_FAIL], np.int64)
        self._failed = _first_rows(connection, table.flow, failed)

    def find(self, number: int, rows: Integers) -> Fallback | None:
        """Of this connection; `rows` are those of its first flow."""
        evidence, table = self.evidence, self.evidence.flows.table
        if number in self._infinite:
            why = "infinite mapping after MP_FAIL" if number in self._failed else "infinite mapping"
            return self._told(why, self._infinite[number])
        initial = evidence.drafts[number].initial
        payload = rows[table.payload[rows] > 0]
        if initial is None or not evidence.mapped.bare[initial] or not len(payload):
            return None
        third = rows[(table.direction[rows] == 0) & (table.flags[rows] & (SYN | ACK) == ACK)]
        if evidence.handshakes[initial].confirmed is None and len(third):
            return self._told("no MP_CAPABLE after the SYN-ACK", int(third[0]))
        return self._told("data without any DSS", int(payload[0]))

    def _told(self, why: str, row: int) -> Fallback:
        table, streams = self.evidence.flows.table, self.evidence.streams
        time, subflow = int(table.time[row]) / 1e9, int(streams.subflow[table.flow[row]])
        return Fallback(why, Event(time, EventKind.FALLBACK, subflow, streams.direction(row), why))


def _first_rows(connection: Int64, flow: Int32, rows: Integers) -> dict[int, int]:
    """The first of the rows in each connection."""
    numbers, first = np.unique(connection[flow[rows]], return_index=True)
    return dict(zip(numbers.tolist(), rows[first].tolist(), strict=True))
