"""What a proxy is told at its start, parsed once."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from enum import Enum
from socket import AF_INET, AF_INET6, AddressFamily

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


@dataclass(frozen=True, slots=True)
class Timeouts:
    """All in seconds."""

    handshake: float = 10.0
    """From accept to a whole request."""
    connect: float = 20.0
    """For resolving, and then for each address that is tried."""
    idle: float = 3600.0
    """Without an octet either way."""
    half_closed: float = 300.0
    """The same, once one side has said that it will send no more."""
    drain: float = 10.0
    """From SIGTERM until the connections that are left are cut."""


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that a worker needs to know."""

    mode: Mode
    listen: tuple[HostPort, ...]
    allow: tuple[Network, ...]
    workers: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    mptcp: bool = True
    """Connect outward over MPTCP."""
    mptcp_listener: bool = True
    """Take MPTCP from clients; plain TCP is taken either way."""
    allow_loopback_destinations: bool = False
    via: HostPort | None = None
    """Socksifier: the SOCKSv6 proxy to go through."""
    timeouts: Timeouts = field(default_factory=Timeouts)
