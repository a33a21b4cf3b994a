"""Why an MPTCP connection went on as plain TCP (RFC 8684 section 3.7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traces.mptcp.evidence import Evidence
from traces.mptcp.membership import Draft
from traces.mptcp.model import Direction, Event, EventKind, Int64
from traces.mptcp.options import Subtype
from traces.mptcp.table import ACK, SYN


@dataclass(frozen=True, slots=True)
class Fallback:
    """What showed it first, and when."""

    why: str
    event: Event


def find_fallback(evidence: Evidence, draft: Draft, rows: Int64) -> Fallback | None:
    """`rows` are those of the connection's first flow."""
    table, streams, maps = evidence.flows.table, evidence.streams, evidence.maps

    def fallback(why: str, row: int) -> Fallback:
        direction = Direction(int(streams.of_row[row]) & 1)
        subflow = int(streams.subflow[table.flow[row]])
        return Fallback(why, Event(int(table.time[row]) / 1e9, EventKind.FALLBACK, subflow, direction, why))

    infinite = maps.row[maps.infinite]
    infinite = infinite[np.isin(table.flow[infinite], draft.members)]
    if len(infinite):
        failed = any(
            option.subtype == Subtype.MP_FAIL and table.flow[option.row] in draft.members for option in table.options
        )
        return fallback("infinite mapping after MP_FAIL" if failed else "infinite mapping", int(infinite[0]))
    payload = rows[table.payload[rows] > 0]
    signalled = np.isin(table.flow[table.dss.row], draft.members).any()
    if draft.initial is None or signalled or not evidence.bare[draft.initial] or not len(payload):
        return None
    third = rows[(table.direction[rows] == 0) & (table.flags[rows] & (SYN | ACK) == ACK)]
    if evidence.handshakes[draft.initial].confirmed is None and len(third):
        return fallback("no MP_CAPABLE after the SYN-ACK", int(third[0]))
    return fallback("data without any DSS", int(payload[0]))
