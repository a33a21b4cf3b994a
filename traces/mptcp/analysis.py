"""From segments to what they say: the one entrance to the analysis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from traces.mptcp.ceased import with_ceased
from traces.mptcp.clocks import aligned
from traces.mptcp.connections import connections
from traces.mptcp.data import Maps, lay_out, read_acks, read_maps
from traces.mptcp.events import find_events
from traces.mptcp.evidence import Evidence
from traces.mptcp.flows import Flows, find_flows
from traces.mptcp.gathering import gather
from traces.mptcp.handshake import read_handshakes
from traces.mptcp.implied import implied_maps
from traces.mptcp.malformed import malformed_options
from traces.mptcp.membership import Draft, find_members
from traces.mptcp.model import Trace
from traces.mptcp.plain import tcp_connections
from traces.mptcp.rtt import round_trips
from traces.mptcp.streams import Bool, Streams, find_streams
from traces.mptcp.volumes import carried, find_ends
from traces.reading.segments import Segments

MOST_WARNINGS = 100
"""Of one sort."""


def analyse(pieces: Iterable[Segments], interfaces: Sequence[str] = (), warnings: Iterable[str] = ()) -> Trace:
    """The MPTCP and TCP connections in these segments, from however many files and in any order.

    A packet that is there more than once, as it passed several places, counts once (see `copies` and `recut`), so that
    files given apart and merged say the same. `interfaces` are the names that segments count; `warnings` of the reader
    come first in those of the trace.
    """
    segments, moved = aligned(gather(pieces), interfaces)
    flows = find_flows(segments)
    handshakes = read_handshakes(flows)
    table = flows.table
    signalled = frozenset(int(flow) for flow in np.unique(table.flow[table.dss.row]))
    membership = find_members(flows, handshakes, signalled, _machines(flows, interfaces))
    streams = find_streams(flows, membership.drafts)
    maps = with_ceased(flows, streams, read_maps(flows, streams, implied_maps(flows, streams, handshakes)))
    acks = read_acks(flows, streams)
    chunks = lay_out(flows, streams, maps)
    bare = _bare(flows, streams, maps, membership.drafts)
    data = carried(flows, streams, maps, chunks, bare)
    evidence = Evidence(
        flows=flows, handshakes=handshakes, drafts=membership.drafts, streams=streams, maps=maps, acks=acks,
        chunks=chunks, bare=bare, data=data, ends=find_ends(streams, maps, acks, data), rtts=round_trips(flows),
        events=find_events(flows, streams, membership.drafts, maps), interfaces=tuple(interfaces),
    )  # fmt: skip
    found, doubts = connections(evidence)
    plain = tcp_connections(flows, handshakes, membership)
    told = (warnings, moved, malformed_options(flows), flows.warnings, membership.warnings, doubts)
    return Trace(found, plain, tuple(warning for some in told for warning in _limited(list(some))))


def _machines(flows: Flows, interfaces: Sequence[str]) -> list[str]:
    """Where each flow was seen first, by the names that `invoke capture` gives interfaces: `guest:mptcp0`."""
    _, first = np.unique(flows.table.flow, return_index=True)
    numbers = (flows.table.tap[first] & 0xFFFF).tolist()
    names = [interfaces[number] if number < len(interfaces) else "" for number in numbers]
    return [name.rpartition(":")[0] for name in names]


def _limited(warnings: list[str]) -> list[str]:
    """Of very many of one sort the first: a capture that began late has one for every connection."""
    left = len(warnings) - MOST_WARNINGS
    return [*warnings[:MOST_WARNINGS], f"and {left} more such warnings"] if left > 0 else warnings


def _bare(flows: Flows, streams: Streams, maps: Maps, drafts: Sequence[Draft]) -> Bool:
    """Which flows began a connection that has neither a mapping nor any other DSS."""
    rows = np.concatenate((maps.row, flows.table.dss.row))
    signalled = set(streams.connection[flows.table.flow[rows]].tolist())
    bare = np.zeros(len(flows.flows), bool)
    bare[[draft.initial for at, draft in enumerate(drafts) if at not in signalled and draft.initial is not None]] = True
    return bare
