"""What a proxy is told at its start, in the shape of its configuration file: a dataclass for each table.

Every number says its unit; every default is here and nowhere else.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from socket import AF_INET, AF_INET6, AddressFamily

from codec.command import Command

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class StartError(Exception):
    """The proxy cannot start; the message says why and what to do."""


class Mode(Enum):
    """What the listeners accept."""

    SERVE = "serve"
    """SOCKS clients, told apart by their first octet."""
    SOCKSIFY = "socksify"
    """Connections that a packet filter redirected here."""


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host, by address or by name, and a port: `192.0.2.1:80`, `[2001:db8::1]:80`, `proxy.example:80`."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> HostPort:
        """Raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isdecimal() or int(port) > 0xFFFF:
            raise ValueError(f"{text!r} is not HOST:PORT")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"an IPv6 address goes in brackets: [{host}]:{port}")
        return cls(host, int(port))

    @classmethod
    def parse_listen(cls, text: str) -> HostPort:
        """Like `parse`, for an address to listen on: no names."""
        parsed = cls.parse(text)
        ipaddress.ip_address(parsed.host)
        return parsed

    @property
    def family(self) -> AddressFamily:
        return AF_INET6 if ":" in self.host else AF_INET

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Draft(Enum):
    """The SOCKSv6 that a listener speaks: both begin with the same octet, so it cannot tell by itself."""

    DRAFT_04 = "04"
    DRAFT_11 = "11"


@dataclass(frozen=True, slots=True)
class Listen:
    """A listening address. SOCKS 4, 4a, 5 and 6 are all taken on it."""

    address: HostPort
    draft: Draft = Draft.DRAFT_11
    versions: tuple[int, ...] = (6,)
    """The version octets of SOCKSv6; peers ship 0xcf and 0xd4 as well."""
    mptcp: bool = True
    """Take MPTCP from clients; plain TCP is taken either way."""
    fast_open: bool = False
    """Take data in the SYN (RFC 7413); the kernel must allow it: net.ipv4.tcp_fastopen=3."""
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Tls:
    """What TLS listeners show; read again on SIGHUP."""

    certificate: Path
    """PEM, with the chain behind it."""
    key: Path


@dataclass(frozen=True, slots=True)
class Clients:
    """Who is served."""

    networks: tuple[Network, ...] = ()
    """Nobody else gets further than accept."""
    users: Path | None = None
    """A file that `mpsocks user` writes. When given, nobody is served unauthenticated."""
    failures_per_minute: int = 10
    """Wrong passwords from one address, after which it is refused unheard for a while."""


class Verdict(Enum):
    """What a rule says."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Rule:
    """The first rule that fits decides. What is empty fits everything; of the rest each must fit."""

    verdict: Verdict
    clients: tuple[Network, ...] = ()
    users: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    networks: tuple[Network, ...] = ()
    """Of the destination, once its name is resolved."""
    names: tuple[str, ...] = ()
    """Of the destination as the client gave it: `example.com` is that one, `.example.com` what ends so."""
    ports: tuple[range, ...] = ()


@dataclass(frozen=True, slots=True)
class Outward:
    """Connections to remote hosts."""

    mptcp: bool = True
    allow_loopback: bool = False
    """Let clients reach this host's loopback addresses."""
    sources: tuple[str, ...] = ()
    """Addresses of this host to begin connections from, in turn, when the first leads nowhere: one for each uplink."""
    happy_eyeballs_delay: float = 0.25
    """Seconds until the next address of a name is tried beside the one before (RFC 8305)."""
    nameserver: HostPort | None = None
    """Whom SOCKSv6 clients ask that use the proxy's DNS service; by default the first of this host's resolv.conf."""
    via: HostPort | None = None
    """The SOCKSv6 proxy to go through (socksifier only)."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """All in seconds."""

    handshake: float = 10.0
    """From accept to a whole request."""
    connect: float = 20.0
    """For resolving, and then for each address that is tried."""
    bind: float = 120.0
    """For the peer of a BIND to come."""
    idle: float = 3600.0
    """Without an octet either way."""
    half_closed: float = 300.0
    """The same, once one side has said that it will send no more."""
    drain: float = 10.0
    """From SIGTERM until the connections that are left are cut."""
    session: float = 3600.0
    """Until a SOCKSv6 session that nobody uses is forgotten."""
    name: float = 30.0
    """How long the addresses of a name are remembered."""


@dataclass(frozen=True, slots=True)
class Limits:
    """For each worker process."""

    connections: int = 0
    """At once; 0: as many as the limit on descriptors allows."""
    connections_per_client: int = 0
    """At once, from one address; 0: no limit."""
    sessions: int = 4096
    """SOCKSv6 sessions."""
    window: int = 4096
    """Tokens of an idempotence window."""


class LogFormat(Enum):
    """How a line of the log looks."""

    JSON = "json"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Operations:
    """How the proxy is watched."""

    log: LogFormat = LogFormat.JSON
    metrics: HostPort | None = None
    """Where Prometheus finds them, over HTTP."""
    control: Path | None = None
    """A folder for the sockets that `mpsocks top` asks; 0700."""


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that a worker needs to know."""

    mode: Mode
    listen: tuple[Listen, ...]
    clients: Clients
    workers: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    """Processes."""
    tls: Tls | None = None
    rules: tuple[Rule, ...] = ()
    """Without any, whoever is served may reach everything that is not forbidden; with some, only what they allow."""
    outward: Outward = field(default_factory=Outward)
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
    operations: Operations = field(default_factory=Operations)
