"""The result of an analysis: MPTCP connections with their subflows, what went over them, and what happened when.

Numbers and text are in dataclasses, one for each thing; what there is one of for each segment is in columns. Positions
in a stream of data are octets since its first one (DSN minus initial DSN minus 1), so that a plot begins at 0.
Directions are the connection's: from the client that opened it, or from the server, whoever opened the subflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Int64: TypeAlias = NDArray[np.int64]
UInt16: TypeAlias = NDArray[np.uint16]
UInt8: TypeAlias = NDArray[np.uint8]
Float64: TypeAlias = NDArray[np.float64]


class Direction(IntEnum):
    """Who sent something."""

    C2S = 0
    S2C = 1


class MapKind(IntEnum):
    """Why a piece of data was sent."""

    NEW = 0
    RETRANSMITTED = 1
    """The same TCP segment of the same subflow again."""
    REINJECTED = 2
    """Data sent before over another subflow."""
    REINJECTED_SAME = 3
    """Data sent before on the same subflow, under other TCP sequence numbers."""


NEVER = (1 << 63) - 1
"""Stands for a time at which nothing happened as far as the capture tells."""


@dataclass(frozen=True, slots=True, eq=False)
class Mappings:
    """Data on their way, in the order of time. Arrays of equal length."""

    time: Int64
    """Nanoseconds since 1970."""
    subflow: UInt16
    """Index into the connection's subflows."""
    direction: UInt8
    start: Int64
    """Position of the first octet in the stream of its direction."""
    length: Int64
    """Octets."""
    kind: UInt8
    """A `MapKind`."""
    acked: Int64
    """When TCP acknowledged the segment on its subflow, in nanoseconds since 1970; `NEVER` where it did not."""


@dataclass(frozen=True, slots=True, eq=False)
class DataAcks:
    """Data acknowledgements, in the order of time. Arrays of equal length."""

    time: Int64
    """Nanoseconds since 1970."""
    subflow: UInt16
    direction: UInt8
    """Of the data that are acknowledged: the other than that of the segment."""
    position: Int64
    """The next octet that is expected."""
    window: Int64
    """Octets that may follow; -1 when the window scale is unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class RttSamples:
    """Round trip times by TCP sequence and acknowledgement numbers, never of a retransmitted segment (Karn)."""

    time: Int64
    """Nanoseconds since 1970, when the acknowledgement came by."""
    subflow: UInt16
    direction: UInt8
    """Of the data that were acknowledged."""
    seconds: Float64


class EventKind(StrEnum):
    """What a timeline tells of (RFC 8684)."""

    ADD_ADDR = "ADD_ADDR"
    ADD_ADDR_ECHO = "ADD_ADDR echo"
    REMOVE_ADDR = "REMOVE_ADDR"
    MP_PRIO = "MP_PRIO"
    MP_FAIL = "MP_FAIL"
    FASTCLOSE = "MP_FASTCLOSE"
    TCPRST = "MP_TCPRST"
    DATA_FIN = "DATA_FIN"
    SUBFLOW_OPENED = "subflow opened"
    SUBFLOW_FIN = "subflow FIN"
    SUBFLOW_RST = "subflow RST"
    FALLBACK = "fallback"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened on a subflow."""

    time: float
    """Seconds since 1970."""
    kind: EventKind
    subflow: int
    direction: Direction
    detail: str = ""
    """Such as `id 2, 192.0.2.1:80, HMAC right`."""


class Proof(StrEnum):
    """Whether a value that is computed from keys is what it has to be."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """What it takes is not in the capture."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Octets of one direction."""

    c2s: int = 0
    s2c: int = 0


@dataclass(frozen=True, slots=True)
class Subflow:
    """One TCP connection of an MPTCP connection. `src` is who opened the subflow."""

    id: int
    src: str
    sport: int
    dst: str
    dport: int
    opener: Direction
    interfaces: tuple[str, ...]
    """On which it was seen."""
    is_initial: bool
    """Whether it began the connection; False also when its handshake is missing."""
    backup: bool | None
    """None when the segments of its handshake that tell are missing."""
    local_id: int | None
    """Address id of who opened it; None when the segment that tells is missing."""
    remote_id: int | None
    started: float
    """Seconds since 1970."""
    handshake_seconds: float | None
    """From SYN to the third segment; None when one of them is missing."""
    hmac: Proof
    mapped: Volume
    """Payload that DSS mappings cover, each octet as often as it was sent."""
    unique: Volume
    """Data that went over no other subflow before, counted once."""
    retransmitted: Volume
    reinjected: Volume
    """Sent over another subflow before."""
    reinjected_same: Volume
    """Sent on this subflow before, under other TCP sequence numbers."""
    rtt_median: tuple[float | None, float | None]
    """Seconds, of the data from the client and of those from the server."""
    scales: tuple[int | None, int | None] = (None, None)
    """Window scale of `src` and of `dst`; None when their SYN is missing."""
    syn_ttls: tuple[int, ...] = ()
    """Of each SYN, in order."""
    syn_ack_ttls: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Connection:
    """One MPTCP connection."""

    id: int
    version: int | None
    """None when the capture lacks the handshake."""
    client_key: str
    """16 hex digits; empty when the capture does not have it."""
    server_key: str
    client_token: str
    """8 hex digits; empty when unknown."""
    server_token: str
    tokens: Proof
    """Whether the hash of a key is what MP_JOINs name, or where data begin; wrong if data begin elsewhere."""
    initial_dsn: tuple[int | None, int | None]
    bytes: Volume
    """By data acknowledgements, widened to 64 bits."""
    reinjected: Volume
    duration: float
    """Seconds from the first to the last segment."""
    checksums: bool
    """Whether they are in use, since one of both sides asked for them."""
    checksums_right: int
    """Mappings whose payload is in the capture as a whole."""
    checksums_wrong: int
    fallback: str
    """Why it went on as plain TCP; empty when it did not."""
    started: float
    """Seconds since 1970."""
    subflows: tuple[Subflow, ...]
    events: tuple[Event, ...]
    mappings: Mappings
    acks: DataAcks
    rtts: RttSamples

    def goodput(self, direction: Direction) -> float:
        """Octets per second, over the whole duration."""
        octets = self.bytes.c2s if direction is Direction.C2S else self.bytes.s2c
        return octets / self.duration if self.duration else 0.0


@dataclass(frozen=True, slots=True)
class TcpConnection:
    """A TCP connection that is no part of an MPTCP connection."""

    id: int
    src: str
    sport: int
    dst: str
    dport: int
    started: float
    duration: float
    syn_ttls: tuple[int, ...]
    """Of each SYN, in order."""
    syn_ack_ttls: tuple[int, ...]
    asked: int | None
    """The MPTCP version that its SYN asked for; None for plain TCP."""
    answered: bool
    bytes: Volume
    """Payload by TCP sequence numbers, each octet once."""
    fallback: str = ""
    """Why it is plain TCP although it asked for MPTCP; empty when it did not, or was not answered."""
    joins: str = ""
    """The token in an MP_JOIN that came to nothing, 8 hex digits; empty where there was none."""


@dataclass(frozen=True, slots=True)
class Trace:
    """All that the files say."""

    connections: tuple[Connection, ...]
    tcp_connections: tuple[TcpConnection, ...]
    warnings: tuple[str, ...]
