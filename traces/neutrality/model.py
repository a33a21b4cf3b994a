"""What is measured of an uplink, as the probers report it and the verdict takes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Arm(StrEnum):
    """What a SYN carries; everything else about it is the same."""

    PLAIN = "plain"
    V1 = "v1"
    """MP_CAPABLE of MPTCP version 1 (RFC 8684)."""
    V0 = "v0"
    """MP_CAPABLE of MPTCP version 0 (RFC 6824)."""
    DUMMY = "dummy"
    """An unknown option as long as that of v1: tells a network that dislikes options from one that dislikes MPTCP."""


class Answer(StrEnum):
    """What came back for a SYN."""

    SYN_ACK = "SYN-ACK"
    RST = "RST"
    TIME_EXCEEDED = "time exceeded"
    UNREACHABLE = "unreachable"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Reply:
    """The TCP segment that answered."""

    ttl: int
    window: int
    mss: int | None
    scale: int | None
    options: tuple[int, ...]
    """Option kinds in their order, padding included: they tell one TCP implementation from another."""
    timestamps: bool
    mptcp: bool
    """Whether MP_CAPABLE is among the options."""


@dataclass(frozen=True, slots=True)
class Quote:
    """An ICMP error, and how the packet that it quotes differs from the one that was sent."""

    router: str
    changed: tuple[str, ...]
    """Names of the fields that differ, those aside that every router changes (TTL, checksums)."""
    has_options: bool
    """Whether the quote is long enough to show the TCP options."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One SYN with a 4-tuple of its own, and what became of it."""

    arm: Arm
    ttl: int
    """As it left the prober's host. On the uplink it is one less when that is a guest behind a lab host."""
    answer: Answer
    rtt: float | None
    """Seconds."""
    reply: Reply | None = None
    quote: Quote | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """One download, with plain TCP or with MPTCP over one subflow."""

    multipath: bool
    """What was asked for."""
    agreed: bool
    """Whether MPTCP was spoken."""
    octets: int
    seconds: float
    complete: bool
    failure: str = ""
    """Why it is not complete, in printable ASCII: some of it is what the server said."""
    redirect: str = ""
    """Where the server sent the client instead, likewise."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A line of the table of TTLs, as the capture of that name shows them on the uplink."""

    name: str
    syn_ttl: int
    syn_ack_ttl: int | None
    answered: bool
    syns: int = 1
    """How many were sent."""
    octets: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and all that was measured towards it."""

    name: str
    speaks_mptcp: bool | None
    """What is known of it from elsewhere: None when nothing is."""
    is_near: bool
    """The near control, before any network that could interfere."""
    probes: tuple[Probe, ...]
    pairs: tuple[tuple[Transfer, Transfer], ...]
    """Plain TCP first, whichever was first in time."""
    table: tuple[TableRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """All targets as seen from one uplink."""

    uplink: str
    ttl_offset: int
    """How many hops lie between the prober and the uplink: 1 for a guest behind a lab host."""
    targets: tuple[Target, ...]
