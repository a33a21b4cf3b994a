"""One subflow as the model has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from traces.mptcp.evidence import Evidence
from traces.mptcp.flows import Flow, Flows
from traces.mptcp.handshake import Handshake
from traces.mptcp.keys import join_hmac
from traces.mptcp.membership import Draft
from traces.mptcp.model import Int64, MapKind, Proof, Subflow, Volume
from traces.mptcp.table import ACK, SYN
from traces.reading.segments import Integers, UInt32


@dataclass(frozen=True, slots=True, eq=False)
class SubflowParts:
    """What was counted of a subflow."""

    rows: Integers
    """Its segments."""
    kinds: Int64
    """Octets by direction of the connection and `MapKind`."""
    rtt_median: tuple[float | None, float | None]
    """Seconds, by direction of the connection."""


def build_subflow(evidence: Evidence, draft: Draft, at: int, parts: SubflowParts) -> Subflow:
    """Subflow `at` of a connection."""
    number, rows, table = draft.members[at], parts.rows, evidence.flows.table
    flow, handshake = evidence.flows.flows[number], evidence.handshakes[number]

    kinds = parts.kinds.tolist()

    def volume(*chosen: MapKind) -> Volume:
        return Volume(*(sum(octets[kind] for kind in chosen) for octets in kinds))

    is_initial = number == draft.initial
    return Subflow(
        id=at, src=flow.source.address, sport=flow.source.port, dst=flow.destination.address,
        dport=flow.destination.port, opener=draft.openers[at],
        interfaces=_names(evidence.interfaces, np.unique(table.tap[rows])),
        is_initial=is_initial, backup=any(handshake.backup), local_id=handshake.ids[0] or 0,
        # The addresses of the initial subflow have id 0 (RFC 8684 section 3.2).
        remote_id=0 if is_initial else handshake.ids[1], started=int(table.time[rows[0]]) / 1e9,
        handshake_seconds=_handshake_seconds(evidence.flows, flow, rows), hmac=_hmac(draft, at, handshake),
        mapped=volume(*MapKind), unique=volume(MapKind.NEW), retransmitted=volume(MapKind.RETRANSMITTED),
        reinjected=volume(MapKind.REINJECTED), reinjected_same=volume(MapKind.REINJECTED_SAME),
        rtt_median=parts.rtt_median, scales=(flow.scale[0], flow.scale[1]),
        syn_ttls=_ttls(evidence.flows, flow.syns), syn_ack_ttls=_ttls(evidence.flows, flow.syn_acks),
    )  # fmt: skip


def _names(interfaces: Sequence[str], taps: UInt32) -> tuple[str, ...]:
    numbers = [int(tap) & 0xFFFF for tap in taps]
    return tuple(dict.fromkeys(interfaces[number] for number in numbers if number < len(interfaces)))


def _ttls(flows: Flows, rows: list[int]) -> tuple[int, ...]:
    return tuple(int(flows.table.hop_limit[row]) for row in rows)


def _handshake_seconds(flows: Flows, flow: Flow, rows: Integers) -> float | None:
    if not flow.syns or not flow.syn_acks:
        return None
    table = flows.table
    third = rows[(table.direction[rows] == 0) & (table.flags[rows] & (SYN | ACK) == ACK) & (rows > flow.syn_acks[0])]
    # Position 1 on both sides: later segments say nothing of when the handshake ended.
    third = third[(flows.position[third] == 1) & (flows.acknowledged[third] == 1)]
    return int(table.time[third[0]] - table.time[flow.syns[0]]) / 1e9 if len(third) else None


def _hmac(draft: Draft, at: int, handshake: Handshake) -> Proof:
    opener = draft.openers[at]
    mine, peer = draft.keys[opener], draft.keys[1 - opener]
    nonces = handshake.nonces
    if not mine or not peer or nonces[0] is None or nonces[1] is None or draft.version is None:
        return Proof.UNKNOWN
    expected = (
        join_hmac((mine, peer), (nonces[0], nonces[1]), draft.version),
        join_hmac((peer, mine), (nonces[1], nonces[0]), draft.version),
    )
    seen = [(there, whole[: len(there)]) for there, whole in zip(handshake.hmacs, expected, strict=True) if there]
    if not seen:
        return Proof.UNKNOWN
    return Proof.RIGHT if all(there == right for there, right in seen) else Proof.WRONG
