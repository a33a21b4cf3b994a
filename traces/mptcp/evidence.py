"""All that was computed of all connections together, before they are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from traces.mptcp.data import Acks
from traces.mptcp.flows import Flows
from traces.mptcp.handshake import Handshake
from traces.mptcp.mapped import Mapped
from traces.mptcp.membership import Draft
from traces.mptcp.model import Event
from traces.mptcp.rtt import Samples
from traces.mptcp.streams import Streams


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the columns say of all MPTCP connections."""

    flows: Flows
    handshakes: Sequence[Handshake]
    """Of each flow."""
    drafts: Sequence[Draft]
    streams: Streams
    acks: Acks
    mapped: Mapped
    rtts: Samples
    events: Sequence[Sequence[Event]]
    """Of each connection."""
    interfaces: tuple[str, ...]
