"""The origin's table: TTLs of SYN and SYN-ACK, and the rate of a download, as a capture shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.errors import MpsocksError
from traces.neutrality.model import TableRow
from traces.reading.reading import read_captures
from traces.reading.segments import Int64, Segments

SYN, ACK = 0x02, 0x10
NANOSECOND = 1e-9


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table, before it is measured: one connection, captured on the uplink under that name."""

    name: str
    multipath: bool
    ttl: int
    """With which its packets leave the prober's host."""
    is_bulk: bool = False


LINES = (
    Line("nomptcp_ttl10", multipath=False, ttl=10),
    Line("mptcp_ttl10", multipath=True, ttl=10),
    Line("mptcp_ttl64", multipath=True, ttl=64),
    Line("mptcp_100MB", multipath=True, ttl=64, is_bulk=True),
    Line("nomptcp_100MB", multipath=False, ttl=64, is_bulk=True),
)
"""The origin's, in the order in which its text tells of them."""


class _Connection:
    """The first connection in a capture, as its segments come by."""

    def __init__(self) -> None:
        self.client: Int64 | None = None
        """Addresses in halves and ports, as the SYN has them."""
        self.syns: list[int] = []
        self.syn_ack_ttl: int | None = None
        self._base = 0
        self._asked: int | None = None
        self._last = 0
        self.octets = 0

    @property
    def seconds(self) -> float:
        """From the client's first octet to the server's last."""
        return (self._last - self._asked) * NANOSECOND if self._asked is not None and self.octets else 0.0

    def take(self, piece: Segments) -> None:
        flags = piece.flags & (SYN | ACK)
        there = np.column_stack([piece.source, piece.source_port, piece.destination, piece.destination_port])
        back = np.column_stack([piece.destination, piece.destination_port, piece.source, piece.source_port])
        if self.client is None:
            first = np.flatnonzero(flags == SYN)
            if not len(first):
                return
            self.client = there[first[0]]
        outward, inward = (there == self.client).all(axis=1), (back == self.client).all(axis=1)
        self.syns += piece.hop_limit[outward & (flags == SYN)].tolist()
        self._take_answer(piece, inward & (flags == SYN | ACK))
        self._take_payload(piece, outward & (piece.payload > 0), inward & (piece.payload > 0))

    def _take_answer(self, piece: Segments, syn_acks: np.ndarray) -> None:
        if self.syn_ack_ttl is None and syn_acks.any():
            first = int(np.flatnonzero(syn_acks)[0])
            self.syn_ack_ttl = int(piece.hop_limit[first])
            self._base = int(piece.sequence[first]) + 1

    def _take_payload(self, piece: Segments, asked: np.ndarray, came: np.ndarray) -> None:
        if self._asked is None and asked.any():
            self._asked = int(piece.time[asked][0])
        if came.any():
            # What was sent again is counted once: the highest octet tells, as long as a download is below 4 GiB.
            ends = (piece.sequence[came].astype(np.int64) - self._base) % (1 << 32) + piece.payload[came]
            self.octets = max(self.octets, int(ends.max()))
            self._last = int(piece.time[came][-1])


def read_row(name: str, capture: Path) -> TableRow:
    """The line of the first connection in a capture; `MpsocksError` when there is none."""
    connection = _Connection()
    for piece in read_captures([capture]):
        connection.take(piece)
    if not connection.syns:
        raise MpsocksError(
            f"{capture} shows no SYN",
            why="the connection did not leave over this uplink",
            hint="`invoke status` shows which uplinks stand",
        )
    return TableRow(
        name=name,
        syn_ttl=connection.syns[0],
        syn_ack_ttl=connection.syn_ack_ttl,
        answered=connection.syn_ack_ttl is not None,
        syns=len(connection.syns),
        octets=connection.octets,
        seconds=connection.seconds,
    )
