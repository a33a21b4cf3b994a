"""What the mappings of all connections come to. They themselves are not kept: there is one for nearly each segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traces.mptcp.coverage import REACH
from traces.mptcp.data import Acks, Chunks, Maps, lay_out
from traces.mptcp.flows import Flows
from traces.mptcp.membership import Membership
from traces.mptcp.streams import Streams
from traces.mptcp.verification import count_checksums
from traces.mptcp.volumes import Carried, Ends, carried, find_ends
from traces.reading.segments import Bool, Int64, Integers


@dataclass(frozen=True, slots=True, eq=False)
class Mapped:
    """Data with their place in the streams, and what the mappings tell of flows and connections."""

    data: Carried
    ends: Ends
    bare: Bool
    """Of each flow, whether it is the first of a connection without any DSS: then TCP's numbers tell where data are."""
    unmapped: Int64
    """Of each connection, octets of payload that no mapping covers."""
    checksums: Int64
    """Of each connection, how many mappings have a right one, and how many a wrong one; shape (connections, 2)."""
    proven: Bool
    """Of each connection, whether numbers begin at the hash of a key."""
    refuted: Bool
    """Of each connection, whether the numbers of a side are out of reach of the hash of its key."""
    infinite: Integers
    """The segments with an infinite mapping."""
    ceased: Integers
    """The segments whose data go on without DSS."""


def weigh(flows: Flows, streams: Streams, membership: Membership, maps: Maps, acks: Acks) -> Mapped:
    """Lay the mappings over the payload, and look what follows."""
    chunks = lay_out(flows, streams, maps)
    bare = _bare(flows, streams, membership, maps)
    data = carried(flows, streams, maps, chunks, bare)
    proven, refuted = _beginnings(streams, maps, acks)
    return Mapped(
        data=data, ends=find_ends(streams, maps, acks, data), bare=bare,
        unmapped=_unmapped(flows, streams, chunks, bare), checksums=count_checksums(flows, streams, maps, chunks),
        proven=proven, refuted=refuted, infinite=maps.row[maps.infinite & maps.signalled],
        ceased=maps.row[maps.infinite & ~maps.signalled],
    )  # fmt: skip


def _bare(flows: Flows, streams: Streams, membership: Membership, maps: Maps) -> Bool:
    """Which flows began a connection that has neither a mapping nor any other DSS."""
    told = {*membership.signalled, *np.unique(flows.table.flow[maps.row]).tolist()}
    connections = {int(streams.connection[flow]) for flow in told}
    bare = np.zeros(len(flows.flows), bool)
    for number, draft in enumerate(membership.drafts):
        if draft.initial is not None:
            bare[draft.initial] = number not in connections
    return bare


def _unmapped(flows: Flows, streams: Streams, chunks: Chunks, bare: Bool) -> Int64:
    flow = flows.table.flow[chunks.row]
    # Data in a SYN come before all mappings.
    at = np.flatnonzero((chunks.map < 0) & ~bare[flow] & (chunks.start > 0))
    count = len(streams.initial) // 2
    return np.bincount(streams.connection[flow[at]], weights=chunks.length[at], minlength=count).astype(np.int64)


def _beginnings(streams: Streams, maps: Maps, acks: Acks) -> tuple[Bool, Bool]:
    """Which connections' numbers begin at the hash of a key, and which of those of a side are out of reach of its.

    The hash that makes the token makes the initial DSN as well. Its successor is the first number of data, and the
    first that the peer acknowledges; either proves the key.
    """
    right, wrong = np.zeros(len(streams.known), bool), np.zeros(len(streams.known), bool)
    said = np.flatnonzero(maps.signalled)
    for stream, position in ((streams.of(maps.row[said]), maps.position[said]), (acks.stream, acks.position)):
        right[stream[position == 1]] = True
        wrong[stream[(position < 1) | (position >= REACH)]] = True
    right, wrong = right & streams.known, wrong & streams.known
    refuted = wrong & ~right
    return right[::2] | right[1::2], refuted[::2] | refuted[1::2]
