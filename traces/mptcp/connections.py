"""MPTCP connections as the model has them, put together from what the columns say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from traces.mptcp.answers import acknowledged_at
from traces.mptcp.evidence import Evidence
from traces.mptcp.fallback import Fallbacks
from traces.mptcp.flows import Flow
from traces.mptcp.membership import Draft
from traces.mptcp.model import (
    Connection,
    DataAcks,
    Direction,
    Mappings,
    Proof,
    RttSamples,
    UInt16,
    Volume,
)
from traces.mptcp.numbering import grouped
from traces.mptcp.octets import delivered
from traces.mptcp.rtt import medians
from traces.mptcp.subflows import SubflowParts, build_subflow
from traces.mptcp.table import SYN
from traces.mptcp.volumes import by_kind
from traces.reading.segments import Int32, Integers


def connections(evidence: Evidence) -> tuple[tuple[Connection, ...], list[str]]:
    """The connections, and what is doubtful about them."""
    builder = _Builder(evidence)
    doubts: list[str] = []
    found = tuple(builder.build(number, doubts) for number in range(len(evidence.drafts)))
    return found, doubts


class _Rows:
    """Which entries of a column belong to each connection or flow, in their order."""

    def __init__(self, whose: Integers, count: int) -> None:
        # Those of none, which have -1, come first.
        order, self._begins = grouped(whose + 1, count + 1)
        self._order = order.astype(np.int32)

    def of(self, number: int) -> Int32:
        return self._order[self._begins[number + 1] : self._begins[number + 2]]


class _Builder:
    """Holds what is found for all connections in one go, so that building one looks only at what is its own."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence, count = evidence, len(evidence.drafts)
        flows, streams = evidence.flows, evidence.streams
        self.table = flows.table
        self.members = _Rows(self.table.flow, len(flows.flows))
        self.data = _Rows(evidence.mapped.data.stream >> 1, count)
        self.acks = _Rows(evidence.acks.stream >> 1, count)
        self.rtts = _Rows(streams.connection[self.table.flow[evidence.rtts.row]], count)
        self.fallbacks = Fallbacks(evidence)
        self.scales = np.array([_used_scales(flow) for flow in flows.flows], np.int64).reshape(-1, 2)
        self.medians = medians(flows, streams.turned, evidence.rtts)
        self.kinds = by_kind(flows, evidence.mapped.data)

    def build(self, number: int, doubts: list[str]) -> Connection:
        draft, evidence = self.evidence.drafts[number], self.evidence
        mapped, rtts = evidence.mapped, self._rtts(number)
        flow_rows = [self.members.of(flow) for flow in draft.members]
        started = min(int(self.table.time[rows[0]]) for rows in flow_rows)
        ended = max(int(self.table.time[rows[-1]]) for rows in flow_rows)
        subflows = tuple(
            build_subflow(evidence, draft, at, SubflowParts(flow_rows[at], self.kinds[flow], self.medians[flow]))
            for at, flow in enumerate(draft.members)
        )
        fallback = self.fallbacks.find(number, flow_rows[0])
        octets = delivered(evidence, number, flow_rows[0] if fallback else flow_rows[0][:0])
        keys = [key.hex() if key else "" for key in draft.keys]
        tokens = ["" if token is None else f"{token:08x}" for token in draft.tokens]
        initial = [draft.initial_dsn(direction) for direction in Direction]
        doubts += [f"connection {number}: {doubt}" for doubt in (*octets.doubts, *self._unmapped(number))]
        events = list(evidence.events[number])
        if fallback:
            events = sorted([*events, fallback.event], key=lambda event: event.time)
        return Connection(
            id=number, version=draft.version, client_key=keys[0], server_key=keys[1],
            client_token=tokens[0], server_token=tokens[1], tokens=self._tokens(number, draft),
            initial_dsn=(initial[0], initial[1]), bytes=octets.volume,
            reinjected=Volume(sum(one.reinjected.c2s for one in subflows), sum(one.reinjected.s2c for one in subflows)),
            duration=(ended - started) / 1e9,
            checksums=draft.initial is not None and any(evidence.handshakes[draft.initial].checksums),
            checksums_right=int(mapped.checksums[number, 0]), checksums_wrong=int(mapped.checksums[number, 1]),
            fallback=fallback.why if fallback else "", started=started / 1e9, subflows=subflows, events=tuple(events),
            mappings=self._mappings(number, flow_rows), acks=self._acks(number), rtts=rtts,
        )  # fmt: skip

    def _tokens(self, number: int, draft: Draft) -> Proof:
        if self.evidence.mapped.refuted[number]:
            return Proof.WRONG
        return Proof.RIGHT if draft.was_joined or self.evidence.mapped.proven[number] else Proof.UNKNOWN

    def _unmapped(self, number: int) -> list[str]:
        """Payload whose mapping was lost by the capture, or on the way."""
        octets = int(self.evidence.mapped.unmapped[number])
        return [f"{octets} octets of payload are covered by no mapping in the capture"] if octets else []

    def _mappings(self, number: int, members: Sequence[Integers]) -> Mappings:
        data, at = self.evidence.mapped.data, self.data.of(number)
        row = data.row[at]
        return Mappings(
            time=self.table.time[row], subflow=self._subflow(row), direction=(data.stream[at] & 1).astype(np.uint8),
            start=data.start[at] - 1, length=data.length[at].astype(np.int64), kind=data.kind[at],
            acked=acknowledged_at(self.evidence.flows, members, row),
        )  # fmt: skip

    def _acks(self, number: int) -> DataAcks:
        acks, at = self.evidence.acks, self.acks.of(number)
        row = acks.row[at]
        scale = self.scales[self.table.flow[row], self.table.direction[row]]
        scale = np.where(self.table.flags[row] & SYN > 0, 0, scale)
        window = np.where(scale >= 0, self.table.window[row].astype(np.int64) << np.maximum(scale, 0), -1)
        return DataAcks(
            time=self.table.time[row], subflow=self._subflow(row), direction=(acks.stream[at] & 1).astype(np.uint8),
            position=acks.position[at] - 1, window=window,
        )  # fmt: skip

    def _rtts(self, number: int) -> RttSamples:
        at = self.rtts.of(number)
        row = self.evidence.rtts.row[at]
        return RttSamples(
            time=self.table.time[row], subflow=self._subflow(row),
            direction=((self.evidence.streams.of(row) & 1) ^ 1).astype(np.uint8),
            seconds=self.evidence.rtts.seconds[at],
        )  # fmt: skip

    def _subflow(self, row: Integers) -> UInt16:
        return self.evidence.streams.subflow[self.table.flow[row]].astype(np.uint16)


def _used_scales(flow: Flow) -> tuple[int, int]:
    """Window scaling is used when both SYNs have the option (RFC 7323 section 2.2); -1: not known."""
    if None in flow.scale or not flow.syns or not flow.syn_acks:
        return -1, -1
    return int(flow.scale[0] or 0), int(flow.scale[1] or 0)
