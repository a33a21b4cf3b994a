"""How many octets of data each connection delivered: as acknowledged, the DATA_FIN not among them."""

from __future__ import annotations

from dataclasses import dataclass

from traces.mptcp.evidence import Evidence
from traces.mptcp.flows import Flows
from traces.mptcp.model import Direction, Volume
from traces.mptcp.table import FIN
from traces.mptcp.volumes import Ends
from traces.reading.segments import Integers

WAY = {Direction.C2S: "from the client", Direction.S2C: "from the server"}


@dataclass(frozen=True, slots=True)
class Delivered:
    """Of one connection."""

    volume: Volume
    doubts: tuple[str, ...]


def delivered(evidence: Evidence, number: int, fallback_rows: Integers) -> Delivered:
    """`fallback_rows` are those of the initial flow when the connection fell back, else none."""
    octets, doubts = [], []
    for direction in Direction:
        stream = number * 2 + direction
        count, doubt = _by_data_acks(evidence.mapped.ends, stream)
        if len(fallback_rows):
            count, doubt = max(count, _by_tcp(evidence.flows, fallback_rows, direction)), ""
        if not evidence.streams.known[stream] and not doubt and count and not len(fallback_rows):
            doubt = f"octets {WAY[direction]} are counted from the first that is seen, its initial DSN being unknown"
        octets.append(count)
        doubts += [doubt.format(way=WAY[direction])] if doubt else []
    return Delivered(Volume(*octets), tuple(doubts))


def _by_data_acks(ends: Ends, stream: int) -> tuple[int, str]:
    acked, seen, fin = int(ends.acked[stream]), int(ends.seen[stream]), int(ends.fin[stream])
    if not acked:
        return 0, "no octet {way} is acknowledged in the capture, though data are there" if seen else ""
    if fin and acked > fin:
        return fin - 1, ""
    if fin and acked < fin:
        return (
            acked - 1,
            "of the octets {way} the last are not acknowledged in the capture, though their DATA_FIN is there",
        )
    if not fin and acked > max(seen, 1):
        # What was acknowledged last is not in the capture: it may as well be the DATA_FIN, which is no octet of data.
        return acked - 2, "the last number acknowledged {way} is not in the capture: it may be data or the DATA_FIN"
    return acked - 1, ""


def _by_tcp(flows: Flows, rows: Integers, direction: Direction) -> int:
    """Octets that TCP acknowledged on the flow, without its FIN."""
    table = flows.table
    acks = rows[table.direction[rows] != direction]
    acked = int(flows.acknowledged[acks].max(initial=0)) - 1
    fins = rows[(table.direction[rows] == direction) & (table.flags[rows] & FIN > 0)]
    end = flows.position[fins] + table.payload[fins] - 1
    return max(min(acked, int(end.max())) if len(fins) else acked, 0)
