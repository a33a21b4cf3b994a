"""TCP connections that are no part of an MPTCP connection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from traces.mptcp.flows import Flows
from traces.mptcp.handshake import Handshake
from traces.mptcp.membership import Membership
from traces.mptcp.model import TcpConnection, Volume
from traces.mptcp.numbering import grouped
from traces.mptcp.volumes import tcp_octets


def tcp_connections(flows: Flows, handshakes: Sequence[Handshake], membership: Membership) -> tuple[TcpConnection, ...]:
    """Those flows that are plain TCP, with what their SYNs asked for and how these were answered."""
    table = flows.table
    if not membership.plain:
        return ()
    is_plain = np.zeros(len(flows.flows), bool)
    is_plain[membership.plain] = True
    octets = tcp_octets(flows, np.flatnonzero(is_plain[table.flow]))
    order, begins = grouped(table.flow, len(flows.flows))
    found = []
    for number, at in enumerate(membership.plain):
        flow = flows.flows[at]
        first, last = int(table.time[order[begins[at]]]), int(table.time[order[begins[at + 1] - 1]])
        found.append(
            TcpConnection(
                id=number, src=flow.source.address, sport=flow.source.port,
                dst=flow.destination.address, dport=flow.destination.port,
                started=first / 1e9, duration=(last - first) / 1e9,
                syn_ttls=tuple(int(table.hop_limit[row]) for row in flow.syns),
                syn_ack_ttls=tuple(int(table.hop_limit[row]) for row in flow.syn_acks),
                asked=handshakes[at].asked, answered=bool(flow.syn_acks),
                bytes=Volume(int(octets[at, 0]), int(octets[at, 1])), fallback=membership.fallbacks.get(at, ""),
                joins="" if handshakes[at].token is None else f"{handshakes[at].token:08x}",
            )
        )  # fmt: skip
    return tuple(found)
