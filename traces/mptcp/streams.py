"""Streams of data, and their numbers widened to positions.

A stream is one direction of one MPTCP connection: connection * 2 + direction. Position 0 is the initial data sequence
number; the first octet has position 1 (RFC 8684 section 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from traces.mptcp.coverage import REACH
from traces.mptcp.flows import Flows
from traces.mptcp.membership import Draft
from traces.mptcp.model import Direction
from traces.mptcp.numbering import grouped, unwrapped
from traces.mptcp.options import ACK, LONG_ACK, LONG_DSN, MAPPING, Dss
from traces.mptcp.table import Table
from traces.reading.segments import Bool, Int64, Integers, UInt64

MODULUS = 1 << 64


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """What is known of each stream, and what belongs to which."""

    initial: UInt64
    """Initial DSN, by stream; where it is not known, what stands for it."""
    known: Bool
    connection: Int64
    """Of each flow; -1 for plain TCP."""
    subflow: Int64
    """Index of each flow within its connection."""
    turned: Int64
    """1 for a flow that the connection's server opened, else 0."""
    by_side: Int64
    """The stream of the data from who opened a flow, then from the other; -1 for plain TCP. Shape (flows * 2)."""
    table: Table

    def of(self, rows: Integers) -> Int64:
        """The stream of the data in each of these segments; -1 outside of MPTCP."""
        found: Int64 = self.by_side[self.table.flow[rows] * 2 + self.table.direction[rows]]
        return found

    def direction(self, row: int) -> Direction:
        """Which way a segment of an MPTCP connection goes."""
        return Direction(int(self.table.direction[row]) ^ int(self.turned[self.table.flow[row]]))


def find_streams(flows: Flows, dss: Dss, drafts: Sequence[Draft]) -> Streams:
    """What each flow belongs to, and the first number of each stream."""
    connection, subflow, turned = (np.full(len(flows.flows), value, np.int64) for value in (-1, 0, 0))
    for number, draft in enumerate(drafts):
        for at, (flow, opener) in enumerate(zip(draft.members, draft.openers, strict=True)):
            connection[flow], subflow[flow], turned[flow] = number, at, opener
    numbers = [draft.initial_dsn(direction) for draft in drafts for direction in Direction]
    known = np.array([number is not None for number in numbers], bool)
    initial = np.array([number or 0 for number in numbers], np.uint64)
    by_side = np.where(connection >= 0, connection * 2 + (np.array([[0], [1]]) ^ turned), -1).T.ravel()
    streams = Streams(initial, known, connection, subflow, turned, by_side, flows.table)
    return streams if known.all() else replace(streams, initial=_initial_by_data(dss, streams))


def _initial_by_data(dss: Dss, streams: Streams) -> UInt64:
    """Where keys are unknown, the lowest number that is seen counts as that of the first octet."""
    stream = streams.of(dss.row)
    mapped = np.flatnonzero((dss.flags & MAPPING > 0) & (stream >= 0))
    acked = np.flatnonzero((dss.flags & ACK > 0) & (stream >= 0))
    whose = np.concatenate((stream[mapped], stream[acked] ^ 1))
    numbers = np.concatenate((dss.dsn[mapped], dss.ack[acked]))
    long = np.concatenate((dss.flags[mapped] & LONG_DSN, dss.flags[acked] & LONG_ACK)) > 0
    order, begins = grouped(whose, len(streams.initial))
    initial = streams.initial.copy()
    for wanted in np.flatnonzero(~streams.known & (np.diff(begins) > 0)):
        at = order[begins[wanted] : begins[wanted + 1]]
        first = numbers[at[np.argmax(long[at])]]
        lowest = (numbers[at].astype(np.uint32) - first.astype(np.uint32)).view(np.int32).min()
        initial[wanted] = (int(first) + int(lowest) - 1) % MODULUS
    return initial


def widened(raw: UInt64, long: Bool, stream: Int64, initial: UInt64) -> Int64:
    """Numbers as positions in their stream; 32-bit ones are taken to be the nearest to the number before."""
    exact = (raw - initial[stream]).view(np.int64)
    sound = long & (np.abs(exact) < REACH)
    if sound.all():
        return exact
    order, begins = grouped(stream, len(initial))
    counted = unwrapped(raw[order].astype(np.uint32), begins, initial.astype(np.uint32))
    exact, sound = exact[order], sound[order]
    exact -= counted
    # What 64-bit numbers say beyond 32 bits holds for the short ones after them.
    last = np.maximum.accumulate(np.where(sound, np.arange(len(raw), dtype=np.int32), np.int32(-1)))
    said = last >= np.repeat(begins[:-1].astype(np.int32), np.diff(begins))
    counted[said] += exact[last[said]]
    positions = exact
    positions[order] = counted
    return positions
