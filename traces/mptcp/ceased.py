"""What data map to that go on without any DSS, as when a middlebox begins to strip options (RFC 8684 section 3.7).

Both ends then fall back to TCP, and not always does a segment with an infinite mapping say so.
"""

from __future__ import annotations

import numpy as np

from traces.mptcp.coverage import REACH
from traces.mptcp.data import Maps, joined
from traces.mptcp.flows import Flows
from traces.mptcp.options import Dss
from traces.mptcp.streams import Streams
from traces.reading.segments import Int32, Int64


def with_ceased(flows: Flows, dss: Dss, streams: Streams, maps: Maps) -> Maps:
    """The mappings, and an infinite one for each stream of which data follow the last DSS of the connection.

    Only those data count that TCP acknowledges, and only connections with one subflow, as others cannot fall back.
    """
    table, count = flows.table, len(streams.initial)
    late = np.flatnonzero(np.arange(len(table), dtype=np.int32) > _last_signals(flows, dss, streams, maps)[table.flow])
    if not len(late):
        return maps
    ssn, position = _ends(streams, maps, count)
    stream = streams.of(late)
    acked = np.zeros(count, np.int64)
    np.maximum.at(acked, stream ^ 1, flows.acknowledged[late])
    ends = flows.position[late] + table.payload[late]
    beyond = (table.payload[late] > 0) & (ends > ssn[stream])
    stream, first = np.unique(stream[beyond], return_index=True)
    row = late[beyond][first]
    told = (acked[stream] > ssn[stream]) & (position[stream] > 0)
    return joined(maps, _infinite(row[told], ssn[stream[told]], position[stream[told]]))


def _last_signals(flows: Flows, dss: Dss, streams: Streams, maps: Maps) -> Int32:
    """Of each flow that is its connection's only one, the row with the last DSS; of others a row behind all."""
    last = np.full(len(flows.flows), -1, np.int32)
    for rows in (dss.row, maps.row):
        np.maximum.at(last, flows.table.flow[rows], rows)
    members = np.bincount(streams.connection + 1)[streams.connection + 1]
    single = (streams.connection >= 0) & (members == 1)
    return np.where(single & (last >= 0), last, np.int32(len(flows.table)))


def _ends(streams: Streams, maps: Maps, count: int) -> tuple[Int64, Int64]:
    """Where the mappings of each stream end: in the subflow's numbers, and in those of the data (0: not known)."""
    ssn, position = np.ones(count, np.int64), streams.known.astype(np.int64)
    stream, length = streams.of(maps.row), maps.length
    end = maps.ssn + length
    order = np.lexsort((end, stream))
    order = order[(length[order] > 0) & ~maps.infinite[order]]
    # Of each stream the last one stays.
    ssn[stream[order]] = end[order]
    position[stream[order]] = (maps.position + length)[order]
    ssn[stream[maps.infinite]] = REACH
    return ssn, position


def _infinite(row: Int64, ssn: Int64, position: Int64) -> Maps:
    no = np.zeros(len(row), bool)
    nothing = np.zeros(len(row), np.uint16)
    return Maps(
        row=row.astype(np.int32), ssn=ssn, position=position, octets=nothing, fin=no, checksum=nothing, checked=no,
        signalled=no,
    )  # fmt: skip
