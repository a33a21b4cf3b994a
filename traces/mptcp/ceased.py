"""What data map to that go on without any DSS, as when a middlebox begins to strip options (RFC 8684 section 3.7).

Both ends then fall back to TCP, and not always does a segment with an infinite mapping say so.
"""

from __future__ import annotations

import numpy as np

from traces.mptcp.coverage import REACH
from traces.mptcp.data import Maps
from traces.mptcp.flows import Flows
from traces.mptcp.streams import Streams
from traces.mptcp.table import SYN
from traces.reading.segments import Int64


def with_ceased(flows: Flows, streams: Streams, maps: Maps) -> Maps:
    """The mappings, and an infinite one for each stream of which data follow the last DSS of the connection.

    Only those data count that TCP acknowledges, and only connections with one subflow, as others cannot fall back.
    """
    table, count = flows.table, len(streams.initial)
    last = np.full(count // 2, len(table), np.int64)
    signals = np.concatenate((table.dss.row, maps.row))
    signals = signals[streams.of_row[signals] >= 0]
    last[np.unique(streams.of_row[signals] >> 1)] = -1
    np.maximum.at(last, streams.of_row[signals] >> 1, signals)
    last[np.bincount(streams.connection[streams.connection >= 0], minlength=len(last)) != 1] = len(table)
    late = np.flatnonzero((streams.of_row >= 0) & (np.arange(len(table)) > np.append(last, 0)[streams.of_row >> 1]))
    if not len(late):
        return maps
    ssn, position = _ends(streams, maps, count)
    ends = flows.position[late] + (table.flags[late] & SYN > 0) + table.payload[late]
    late_data = late[(table.payload[late] > 0) & (ends > ssn[streams.of_row[late]])]
    stream, first = np.unique(streams.of_row[late_data], return_index=True)
    acked = np.zeros(count, np.int64)
    np.maximum.at(acked, streams.of_row[late] ^ 1, flows.acknowledged[late])
    told = (acked[stream] > ssn[stream]) & (position[stream] > 0)
    return _joined(maps, late_data[first[told]], ssn[stream[told]], position[stream[told]])


def _ends(streams: Streams, maps: Maps, count: int) -> tuple[Int64, Int64]:
    """Where the mappings of each stream end: in the subflow's numbers, and in those of the data (0: not known)."""
    ssn, position = np.ones(count, np.int64), streams.known.astype(np.int64)
    stream, end = streams.of_row[maps.row], maps.ssn + maps.length
    order = np.lexsort((end, stream))
    order = order[(maps.length[order] > 0) & ~maps.infinite[order]]
    # Of each stream the last one stays.
    ssn[stream[order]] = end[order]
    position[stream[order]] = (maps.position + maps.length)[order]
    ssn[stream[maps.infinite]] = REACH
    return ssn, position


def _joined(maps: Maps, row: Int64, ssn: Int64, position: Int64) -> Maps:
    zeros, ones = np.zeros(len(row), np.int64), np.ones(len(row), bool)
    infinite = Maps(
        row=row, ssn=ssn, position=position, length=zeros + REACH, octets=zeros, fin=~ones,
        checksum=zeros.astype(np.uint16), checked=~ones, infinite=ones, signalled=~ones,
    )  # fmt: skip
    order = np.argsort(np.concatenate((maps.row, row)), kind="stable")
    return Maps(*(np.concatenate((getattr(maps, name), getattr(infinite, name)))[order] for name in Maps.__slots__))
