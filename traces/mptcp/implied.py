"""The mapping that MP_CAPABLE with a data length stands for (RFC 8684 section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from traces.mptcp.data import Maps
from traces.mptcp.flows import Flows
from traces.mptcp.handshake import Handshake
from traces.mptcp.options import Option, Subtype
from traces.mptcp.streams import Streams

WITH_LENGTH, WITH_CHECKSUM = 22, 24


def implied_maps(flows: Flows, streams: Streams, handshakes: Sequence[Handshake]) -> Maps:
    """Each covers the client's first octets: subflow sequence number 1, initial data sequence number + 1."""
    table = flows.table

    def is_mapping(option: Option) -> bool:
        flow = table.flow[option.row]
        return (
            option.subtype == Subtype.MP_CAPABLE
            and len(option.octets) in {WITH_LENGTH, WITH_CHECKSUM}
            and any(option.octets[20:22])
            and handshakes[flow].version == 1
            and streams.connection[flow] >= 0
            and table.direction[option.row] == 0
        )

    found = [option for option in table.options if is_mapping(option)]
    ones = np.ones(len(found), np.int64)
    return Maps(
        row=np.array([option.row for option in found], np.int32), ssn=ones, position=ones,
        octets=np.array([int.from_bytes(option.octets[20:22], "big") for option in found], np.uint16), fin=ones < 0,
        checksum=np.array([int.from_bytes(option.octets[22:24], "big") for option in found], np.uint16),
        checked=np.array([len(option.octets) == WITH_CHECKSUM for option in found], bool), signalled=ones < 0,
    )  # fmt: skip
