"""One direction of a connection: what was sent and what was acknowledged, with the maxima that all plots build on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.model import Connection, Direction
from traces.products.plot import Int64


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """The mappings of one direction, in the order of time. Arrays of equal length."""

    time: Int64
    subflow: Int64
    start: Int64
    end: Int64
    kind: Int64
    acked: Int64
    """When TCP acknowledged them on their subflow."""

    def of(self, chosen: NDArray[np.bool_]) -> Sent:
        columns = (self.time, self.subflow, self.start, self.end, self.kind, self.acked)
        return Sent(*(column[chosen] for column in columns))


@dataclass(frozen=True, slots=True, eq=False)
class Acked:
    """The data acknowledgements of what one direction sent, in the order of time. Arrays of equal length."""

    time: Int64
    subflow: Int64
    position: Int64
    highest: Int64
    """The highest position acknowledged so far."""
    edge: Int64
    """The highest position that may be sent so far (RFC 8684 section 3.3.5); -1 before the first known window."""

    def upto(self, times: Int64, side: str = "right") -> Int64:
        """The highest position acknowledged by each of `times`; those at that very time count with side `right`."""
        return held(self.time, self.highest, times, before=0, right=side == "right")


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One direction of a connection."""

    connection: Connection
    direction: Direction
    sent: Sent
    acked: Acked

    @property
    def start(self) -> int:
        """Of the connection, in nanoseconds since 1970."""
        return nanoseconds(self.connection.started)

    def __bool__(self) -> bool:
        """Whether data went this way, or at least some were acknowledged."""
        return bool(len(self.sent.time) or self.acked.highest[-1:].any())


def side_of(connection: Connection, direction: Direction) -> Side:
    """What of a connection belongs to the data that go in `direction`."""
    maps, acks = connection.mappings, connection.acks
    chosen = maps.direction == direction
    start, subflow = maps.start[chosen], maps.subflow[chosen].astype(np.int64)
    kind = maps.kind[chosen].astype(np.int64)
    sent = Sent(maps.time[chosen], subflow, start, start + maps.length[chosen], kind, maps.acked[chosen])
    chosen = acks.direction == direction
    position, window = acks.position[chosen], acks.window[chosen]
    edge = np.where(window < 0, -1, position + window)
    # The acknowledgement of a DATA_FIN is one higher, and that one is no data (RFC 8684 section 3.3.3).
    octets = connection.bytes.c2s if direction is Direction.C2S else connection.bytes.s2c
    position = np.minimum(position, octets)
    highest = np.maximum.accumulate(position) if len(position) else position
    edges = np.maximum.accumulate(edge) if len(edge) else edge
    acked = Acked(acks.time[chosen], acks.subflow[chosen].astype(np.int64), position, highest, edges)
    return Side(connection, direction, sent, acked)


def nanoseconds(seconds: float) -> int:
    """Rounded to microseconds: a float holds no more of a time since 1970."""
    return round(seconds * 1e6) * 1000


def merged(*times: Int64) -> Int64:
    """All times in order, each once."""
    # Several times faster than NumPy's unique, since a stable sort merges what is sorted already.
    together = np.sort(np.concatenate(times), kind="stable")
    once: Int64 = together[np.append(True, together[1:] != together[:-1])[: len(together)]]
    return once


def held(times: Int64, values: Int64, wanted: Int64, *, before: int, right: bool = True) -> Int64:
    """Of values that each hold until the next: those at the `wanted` times; `before` the first there is `before`."""
    at = np.searchsorted(times, wanted, side="right" if right else "left") - 1
    padded = np.concatenate([np.array([before], dtype=np.int64), values])
    chosen: Int64 = padded[at + 1]
    return chosen
