"""The subflows that the capture of an uplink shows: who agreed to MPTCP, and what each carried for which connection.

Each uplink's capture is analysed by itself: a subflow that joins names its connection by the token in its MP_JOIN, also
where the capture lacks the connection's beginning. A connection to a server that is asked about counts as well when its
SYN never asked for MPTCP.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from traces.mptcp import model
from traces.mptcp.model import Connection, Direction, TcpConnection, Trace

Endpoint = tuple[IPv4Address | IPv6Address, int]


@dataclass(frozen=True, slots=True)
class Subflow:
    """One TCP flow, as seen on one uplink."""

    uplink: str
    started: float
    """Seconds since 1970."""
    client: Endpoint
    server: Endpoint
    joins: str = ""
    """The token in its MP_JOIN, 8 hex digits; empty for an initial subflow."""
    version: int | None = None
    """The MPTCP version in its MP_CAPABLE; none for a subflow that joins, and for a SYN that never asked for MPTCP."""
    answered: bool = False
    """Whether there was a SYN-ACK."""
    agreed: bool = False
    """Whether the handshake agreed to MPTCP."""
    token: str = ""
    """The server's token, from the key in its SYN-ACK; empty for a subflow that joins."""
    bytes_up: int = 0
    """Octets of data from the client; over MPTCP as often as they were sent."""
    bytes_down: int = 0
    """Octets of data from the server, likewise."""

    @property
    def connection(self) -> str:
        """The server's token of the MPTCP connection it belongs to."""
        return self.joins or self.token

    @property
    def is_plain(self) -> bool:
        """Whether it surely is plain TCP. A SYN that asked for MPTCP and was not answered tells nothing."""
        asked = bool(self.joins) or self.version is not None
        return not self.agreed and (self.answered or not asked)


def find_subflows(uplink: str, trace: Trace, servers: Collection[Endpoint] = ()) -> list[Subflow]:
    """The flows in the capture of `uplink` that asked for MPTCP, and all to `servers`, in the order of their SYNs."""
    agreed = [_agreed(uplink, connection, flow) for connection in trace.connections for flow in connection.subflows]
    others = [_other(uplink, connection) for connection in trace.tcp_connections]
    asked = [flow for flow in others if flow.joins or flow.version is not None or flow.server in servers]
    return sorted(agreed + asked, key=lambda flow: flow.started)


def _agreed(uplink: str, connection: Connection, flow: model.Subflow) -> Subflow:
    ends = (ip_address(flow.src), flow.sport), (ip_address(flow.dst), flow.dport)
    client, server = ends if flow.opener is Direction.C2S else ends[::-1]
    return Subflow(
        uplink,
        flow.started,
        client,
        server,
        joins="" if flow.is_initial else connection.server_token,
        version=connection.version if flow.is_initial else None,
        answered=True,
        agreed=True,
        token=connection.server_token if flow.is_initial else "",
        bytes_up=flow.mapped.c2s,
        bytes_down=flow.mapped.s2c,
    )


def _other(uplink: str, connection: TcpConnection) -> Subflow:
    return Subflow(
        uplink,
        connection.started,
        (ip_address(connection.src), connection.sport),
        (ip_address(connection.dst), connection.dport),
        joins=connection.joins,
        version=connection.asked,
        answered=connection.answered,
        bytes_up=connection.bytes.c2s,
        bytes_down=connection.bytes.s2c,
    )
