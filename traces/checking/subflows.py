"""The subflows in a capture: who agreed to MPTCP, which connection each subflow joined, and what it carried.

Only what `check-mptcp` needs: a subflow is known by its handshake (RFC 8684, sections 3.1 and 3.2), and subflows are
put together by the token in MP_JOIN, the first 32 bits of a hash of the server's key. A connection to a server that is
asked about counts as well when its SYN never asked for MPTCP.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from traces.mptcp.keys import HASHES, token
from traces.mptcp.options import Subtype
from traces.reading.rows import Segment

END_OF_OPTIONS, NO_OPERATION, MPTCP = 0, 1, 30

VERSION_BITS = 0x0F  # of the third octet of MP_CAPABLE

Endpoint = tuple[IPv4Address | IPv6Address, int]


@dataclass(slots=True)
class Subflow:
    """One TCP flow, as seen on one uplink."""

    uplink: str
    client: Endpoint
    server: Endpoint
    joins: str = ""
    """The token in its MP_JOIN, 8 hex digits; empty for an initial subflow."""
    version: int | None = None
    """The MPTCP version in its MP_CAPABLE; none for a subflow that joins, and for a SYN that never asked for MPTCP."""
    answered: bool = False
    """Whether there was a SYN-ACK."""
    agreed: bool = False
    """Whether the SYN-ACK answered with the same MPTCP option."""
    token: str = ""
    """The server's token, from the key in its SYN-ACK; empty for a subflow that joins."""
    bytes_up: int = 0
    """Payload octets on the wire from the client, retransmissions included."""
    bytes_down: int = 0
    """Payload octets on the wire from the server, retransmissions included."""

    @property
    def connection(self) -> str:
        """The server's token of the MPTCP connection it belongs to."""
        return self.joins or self.token

    @property
    def is_plain(self) -> bool:
        """Whether it surely is plain TCP. A SYN that asked for MPTCP and was not answered tells nothing."""
        asked = bool(self.joins) or self.version is not None
        return not self.agreed and (self.answered or not asked)


def mptcp_options(options: bytes) -> Iterable[tuple[int, bytes]]:
    """Subtype and whole option of each MPTCP option among TCP options; stops at the first malformed one."""
    at = 0
    while at < len(options) and options[at] != END_OF_OPTIONS:
        if options[at] == NO_OPERATION:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2 or at + length > len(options):
            return
        if options[at] == MPTCP and length >= 3:
            yield options[at + 2] >> 4, options[at : at + length]
        at += length


def server_token(key: bytes, version: int = 1) -> str:
    """The token of a connection whose server has `key` (8 octets), as 8 hex digits."""
    return f"{token(key, version):08x}"


def find_subflows(uplink: str, segments: Iterable[Segment], servers: Collection[Endpoint] = ()) -> list[Subflow]:
    """The flows on `uplink` that asked for MPTCP, and all to `servers`, in the order of their SYNs."""
    flows: dict[tuple[Endpoint, Endpoint], Subflow] = {}
    for segment in segments:
        if segment.is_syn:
            subflow = _opened(uplink, segment, segment.destination in servers)
            if subflow:
                flows.setdefault((segment.source, segment.destination), subflow)
        elif down := flows.get((segment.destination, segment.source)):
            if segment.is_syn_ack:
                _answer(down, segment)
            down.bytes_down += segment.payload
        elif up := flows.get((segment.source, segment.destination)):
            up.bytes_up += segment.payload
    return list(flows.values())


def _opened(uplink: str, syn: Segment, even_plain: bool) -> Subflow | None:
    for subtype, option in mptcp_options(syn.options):
        if subtype == Subtype.MP_CAPABLE:
            return Subflow(uplink, syn.source, syn.destination, version=option[2] & VERSION_BITS)
        if subtype == Subtype.MP_JOIN and len(option) == 12:
            return Subflow(uplink, syn.source, syn.destination, joins=option[4:8].hex())
    return Subflow(uplink, syn.source, syn.destination) if even_plain else None


def _answer(subflow: Subflow, syn_ack: Segment) -> None:
    subflow.answered = True
    for subtype, option in mptcp_options(syn_ack.options):
        version = option[2] & VERSION_BITS
        # With another version than it asked for a client has no key to go on with: it falls back.
        same = version == subflow.version and version in HASHES
        if subtype == Subtype.MP_CAPABLE and same and len(option) >= 12:
            subflow.agreed, subflow.token = True, server_token(option[4:12], version)
        if subtype == Subtype.MP_JOIN and subflow.joins:
            subflow.agreed = True
