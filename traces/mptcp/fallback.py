"""Why an MPTCP connection went on as plain TCP (RFC 8684 section 3.7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traces.mptcp.data import Maps
from traces.mptcp.flows import Flows
from traces.mptcp.handshake import Handshake
from traces.mptcp.membership import Draft
from traces.mptcp.model import Direction, Event, EventKind, Int64
from traces.mptcp.options import Subtype
from traces.mptcp.streams import Streams
from traces.mptcp.table import ACK, SYN


@dataclass(frozen=True, slots=True)
class Fallback:
    """What showed it first, and when."""

    why: str
    event: Event


def find_fallback(
    flows: Flows, handshake: Handshake, streams: Streams, maps: Maps, draft: Draft, rows: Int64
) -> Fallback | None:
    """`rows` are those of the initial flow, `handshake` is its."""
    table = flows.table

    def fallback(why: str, row: int) -> Fallback:
        subflow = int(streams.subflow[table.flow[row]])
        direction = Direction(int(streams.of_row[row]) & 1)
        return Fallback(why, Event(int(table.time[row]) / 1e9, EventKind.FALLBACK, subflow, direction, why))

    number = streams.connection[draft.members[0]]
    infinite = maps.row[maps.infinite]
    infinite = infinite[streams.connection[table.flow[infinite]] == number]
    if len(infinite):
        failed = [
            option for option in table.options
            if option.subtype == Subtype.MP_FAIL and streams.connection[table.flow[option.row]] == number
        ]  # fmt: skip
        return fallback("infinite mapping after MP_FAIL" if failed else "infinite mapping", int(infinite[0]))
    payload = rows[table.payload[rows] > 0]
    if (
        not len(payload)
        or np.any(np.isin(table.flow[table.dss.row], draft.members))
        or np.any(table.flow[maps.row] == draft.initial)
    ):
        return None
    third = rows[(table.direction[rows] == 0) & (table.flags[rows] & (SYN | ACK) == ACK)]
    if handshake.confirmed is None and len(third):
        return fallback("no MP_CAPABLE after the SYN-ACK", int(third[0]))
    return fallback("data without any DSS", int(payload[0]))
