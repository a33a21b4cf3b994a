"""Streams of data, and their numbers widened to positions.

A stream is one direction of one MPTCP connection: connection * 2 + direction. Position 0 is the initial data sequence
number; the first octet has position 1 (RFC 8684 section 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.coverage import REACH
from traces.mptcp.flows import Flows
from traces.mptcp.membership import Draft
from traces.mptcp.model import Direction
from traces.mptcp.numbering import grouped, unwrapped
from traces.mptcp.options import ACK, LONG_ACK, LONG_DSN, MAPPING
from traces.reading.segments import Int64, UInt64

Bool: TypeAlias = NDArray[np.bool_]
MODULUS = 1 << 64


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """What is known of each stream, and what belongs to which."""

    initial: UInt64
    """Initial DSN, by stream; where it is not known, what stands for it."""
    known: Bool
    of_row: Int64
    """For each segment, the stream of its data; -1 outside of MPTCP."""
    connection: Int64
    """Of each flow; -1 for plain TCP."""
    subflow: Int64
    """Index of each flow within its connection."""
    turned: Int64
    """1 for a flow that the connection's server opened, else 0."""


def find_streams(flows: Flows, drafts: Sequence[Draft]) -> Streams:
    """Give each segment its stream, and each stream its first number."""
    connection, subflow, turned = (np.full(len(flows.flows), value, np.int64) for value in (-1, 0, 0))
    for number, draft in enumerate(drafts):
        for at, (flow, opener) in enumerate(zip(draft.members, draft.openers, strict=True)):
            connection[flow], subflow[flow], turned[flow] = number, at, opener
    table = flows.table
    of_row = np.full(len(table), -1, np.int64)
    if len(drafts):
        whose = connection[table.flow]
        of_row = np.where(whose >= 0, whose * 2 + (table.direction ^ turned[table.flow]), -1)
    numbers = [draft.initial_dsn(direction) for draft in drafts for direction in Direction]
    known = np.array([number is not None for number in numbers], bool)
    initial = np.array([number or 0 for number in numbers], np.uint64)
    streams = Streams(initial, known, of_row, connection, subflow, turned)
    return streams if known.all() else replace(streams, initial=_initial_by_data(flows, streams))


def _initial_by_data(flows: Flows, streams: Streams) -> UInt64:
    """Where keys are unknown, the lowest number that is seen counts as that of the first octet."""
    dss = flows.table.dss
    stream = streams.of_row[dss.row]
    initial = streams.initial.copy()
    for wanted in np.flatnonzero(~streams.known):
        mapped = np.flatnonzero((stream == wanted) & (dss.flags & MAPPING > 0))
        acked = np.flatnonzero((stream == wanted ^ 1) & (dss.flags & ACK > 0))
        numbers = np.concatenate((dss.dsn[mapped], dss.ack[acked]))
        long = np.concatenate((dss.flags[mapped] & LONG_DSN, dss.flags[acked] & LONG_ACK)) > 0
        if not len(numbers):
            continue
        first = numbers[np.argmax(long)]
        lowest = (numbers.astype(np.uint32) - first.astype(np.uint32)).view(np.int32).min()
        initial[wanted] = (int(first) + int(lowest) - 1) % MODULUS
    return initial


def widened(raw: UInt64, long: Bool, stream: Int64, initial: UInt64) -> Int64:
    """Numbers as positions in their stream; 32-bit ones are taken to be the nearest to the number before."""
    order, begins = grouped(stream, len(initial))
    raw, long = raw[order], long[order]
    counted = unwrapped(raw.astype(np.uint32), begins, initial.astype(np.uint32))
    exact = (raw - initial[stream[order]]).view(np.int64)
    sound = long & (np.abs(exact) < REACH)
    # What 64-bit numbers say beyond 32 bits holds for the short ones after them.
    last = np.maximum.accumulate(np.where(sound, np.arange(len(raw)), -1)) if len(raw) else begins[:0]
    off = np.where(last >= np.repeat(begins[:-1], np.diff(begins)), (exact - counted)[last], 0)
    positions = np.empty(len(raw), np.int64)
    positions[order] = np.where(sound, exact, counted + off)
    return positions
