"""From segments to what they say: the one entrance to the analysis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from traces.mptcp.connections import connections
from traces.mptcp.data import read_acks, read_maps
from traces.mptcp.events import find_events
from traces.mptcp.evidence import Evidence
from traces.mptcp.flows import Flows, find_flows
from traces.mptcp.gathering import gather
from traces.mptcp.handshake import read_handshakes
from traces.mptcp.implied import implied_maps
from traces.mptcp.malformed import malformed_options
from traces.mptcp.mapped import weigh
from traces.mptcp.membership import find_members
from traces.mptcp.model import Trace
from traces.mptcp.plain import tcp_connections
from traces.mptcp.rtt import round_trips
from traces.mptcp.streams import find_streams
from traces.reading.segments import Segments

MOST_WARNINGS = 100
"""Of one sort."""


def analyse(pieces: Iterable[Segments], interfaces: Sequence[str] = (), warnings: Iterable[str] = ()) -> Trace:
    """The MPTCP and TCP connections in these segments, from however many files and in any order.

    A packet that is there more than once, as it passed several places, counts once (see `copies` and `recut`), so that
    files given apart and merged say the same. `interfaces` are the names that segments count; `warnings` of the reader
    come first in those of the trace.
    """
    flows, dss = find_flows(gather(pieces))
    handshakes = read_handshakes(flows)
    signalled = frozenset(np.unique(flows.table.flow[dss.row]).tolist())
    membership = find_members(flows, handshakes, signalled, _machines(flows, interfaces))
    drafts, plain = membership.drafts, tcp_connections(flows, handshakes, membership)
    streams = find_streams(flows, dss, drafts)
    maps = read_maps(flows, dss, streams, implied_maps(flows, streams, handshakes))
    acks = read_acks(dss, streams)
    # What is as large as the capture goes as soon as it has been used, so that larger ones fit into memory.
    del dss
    mapped, events = weigh(flows, streams, membership, maps, acks), find_events(flows, streams, drafts, maps)
    del maps
    evidence = Evidence(
        flows=flows, handshakes=handshakes, drafts=drafts, streams=streams, acks=acks, mapped=mapped,
        rtts=round_trips(flows), events=events, interfaces=tuple(interfaces),
    )  # fmt: skip
    found, doubts = connections(evidence)
    told = (warnings, malformed_options(flows), flows.warnings, membership.warnings, doubts)
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
