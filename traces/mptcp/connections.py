"""MPTCP connections as the model has them, put together from what the columns say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from traces.mptcp.data import Acks, Chunks, Maps
from traces.mptcp.fallback import find_fallback
from traces.mptcp.flows import Flow, Flows, grouped
from traces.mptcp.handshake import Handshake
from traces.mptcp.membership import Draft
from traces.mptcp.model import (
    Connection,
    DataAcks,
    Direction,
    Event,
    Int64,
    Mappings,
    Proof,
    RttSamples,
    Volume,
)
from traces.mptcp.octets import delivered
from traces.mptcp.rtt import Samples
from traces.mptcp.streams import Streams
from traces.mptcp.subflows import Members, build_subflow
from traces.mptcp.table import SYN
from traces.mptcp.volumes import Carried, Ends, by_kind


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that was computed of all connections together."""

    flows: Flows
    handshakes: Sequence[Handshake]
    streams: Streams
    maps: Maps
    acks: Acks
    chunks: Chunks
    data: Carried
    ends: Ends
    rtts: Samples
    events: list[list[Event]]
    interfaces: tuple[str, ...]


def connections(evidence: Evidence, drafts: Sequence[Draft]) -> tuple[tuple[Connection, ...], list[str]]:
    """The connections, and what is doubtful about them."""
    builder = _Builder(evidence, drafts)
    doubts: list[str] = []
    found = tuple(builder.build(number, doubts) for number in range(len(drafts)))
    return found, doubts


class _Rows:
    """Which entries of a column belong to each connection, and to each keep their order."""

    def __init__(self, connection: Int64, count: int) -> None:
        # Those of none, which have -1, come first.
        self._order, self._begins = grouped(connection + 1, count + 1)

    def of(self, number: int) -> Int64:
        return self._order[self._begins[number + 1] : self._begins[number + 2]]


class _Builder:
    def __init__(self, evidence: Evidence, drafts: Sequence[Draft]) -> None:
        self.evidence, self.drafts, count = evidence, drafts, len(drafts)
        flows, streams = evidence.flows, evidence.streams
        self.table = flows.table
        connection = streams.connection[self.table.flow]
        self.rows = _Rows(connection, count)
        self.data = _Rows(evidence.data.stream >> 1, count)
        self.acks = _Rows(evidence.acks.stream >> 1, count)
        self.rtts = _Rows(connection[evidence.rtts.row], count)
        self.kinds = by_kind(flows, streams, evidence.data)
        self.members = _Rows(np.where(connection >= 0, self.table.flow, -1), len(flows.flows))

    def build(self, number: int, doubts: list[str]) -> Connection:
        draft, evidence, streams = self.drafts[number], self.evidence, self.evidence.streams
        rows = self.rows.of(number)
        started, ended = int(self.table.time[rows[0]]), int(self.table.time[rows[-1]])
        rtts = self._rtts(number)
        flow_rows = [self.members.of(flow) for flow in draft.members]
        members = Members(evidence.flows, streams, flow_rows, self.kinds, rtts, evidence.interfaces)
        subflows = tuple(
            build_subflow(members, at, flow, draft, evidence.handshakes[flow]) for at, flow in enumerate(draft.members)
        )
        first = draft.members[0]
        fallback = find_fallback(
            evidence.flows, evidence.handshakes[first], streams, evidence.maps, draft, flow_rows[0]
        )
        octets = delivered(
            evidence.flows, streams, number, draft, evidence.ends, flow_rows[0] if fallback else flow_rows[0][:0]
        )
        keys = [key.hex() if key else "" for key in draft.keys]
        tokens = ["" if token is None else f"{token:08x}" for token in draft.tokens]
        initial = [draft.initial_dsn(direction) for direction in Direction]
        doubts += [f"connection {number}: {doubt}" for doubt in octets.doubts]
        events = evidence.events[number]
        if fallback:
            events = sorted([*events, fallback.event], key=lambda event: event.time)
        return Connection(
            id=number, version=draft.version, client_key=keys[0], server_key=keys[1],
            client_token=tokens[0], server_token=tokens[1], tokens=self._tokens(number, draft),
            initial_dsn=(initial[0], initial[1]), bytes=octets.volume,
            reinjected=Volume(sum(one.reinjected.c2s for one in subflows), sum(one.reinjected.s2c for one in subflows)),
            duration=(ended - started) / 1e9,
            checksums=draft.initial is not None and any(evidence.handshakes[draft.initial].checksums),
            checksums_right=0, checksums_wrong=0, fallback=fallback.why if fallback else "", started=started / 1e9,
            subflows=subflows, events=tuple(events), mappings=self._mappings(number), acks=self._acks(number), rtts=rtts,
        )  # fmt: skip

    def _tokens(self, number: int, draft: Draft) -> Proof:
        """The hash that makes the token makes the initial DSN as well, so that the first mapping proves it."""
        maps, streams = self.evidence.maps, self.evidence.streams
        first = (
            np.flatnonzero((maps.ssn == 1) & (self.table.flow[maps.row] == draft.initial) & ~maps.fin)
            if draft.initial is not None
            else np.zeros(0, np.int64)
        )
        first = first[streams.known[streams.of_row[maps.row[first]]]]
        if len(first) and np.any(maps.position[first] != 1):
            return Proof.WRONG
        signalled = len(first) and np.any(np.isin(maps.row[first], self.evidence.flows.table.dss.row))
        return Proof.RIGHT if draft.was_joined or signalled else Proof.UNKNOWN

    def _mappings(self, number: int) -> Mappings:
        data, at = self.evidence.data, self.data.of(number)
        row = data.row[at]
        return Mappings(
            time=self.table.time[row], subflow=self._subflow(row), direction=(data.stream[at] & 1).astype(np.uint8),
            start=data.start[at] - 1, length=data.length[at], kind=data.kind[at],
        )  # fmt: skip

    def _acks(self, number: int) -> DataAcks:
        acks, at = self.evidence.acks, self.acks.of(number)
        row = acks.row[at]
        scales = np.array([_used_scales(flow) for flow in self.evidence.flows.flows], np.int64)
        scale = scales[self.table.flow[row], self.table.direction[row]]
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
            direction=((self.evidence.streams.of_row[row] & 1) ^ 1).astype(np.uint8),
            seconds=self.evidence.rtts.seconds[at],
        )  # fmt: skip

    def _subflow(self, row: Int64) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
        return self.evidence.streams.subflow[self.table.flow[row]].astype(np.uint16)


def _used_scales(flow: Flow) -> tuple[int, int]:
    """Window scaling is used when both SYNs have the option (RFC 7323 section 2.2); -1: not known."""
    if None in flow.scale or not flow.syns or not flow.syn_acks:
        return -1, -1
    return int(flow.scale[0] or 0), int(flow.scale[1] or 0)
