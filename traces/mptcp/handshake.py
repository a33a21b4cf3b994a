"""What the handshakes say: which TCP connections asked for MPTCP, got it, and which connection they join.

RFC 8684 sections 3.1 and 3.2, RFC 6824 likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from traces.mptcp.flows import Flows
from traces.mptcp.keys import HASHES
from traces.mptcp.options import Option, Subtype
from traces.mptcp.table import ACK, SYN

CHECKSUM_REQUIRED = 0x80
"""Flag A of MP_CAPABLE."""
BACKUP = 0x01
"""Flag B of MP_JOIN and of MP_PRIO."""


@dataclass(slots=True)
class Handshake:
    """What the MPTCP options of one TCP connection's handshake say. Pairs: of who opened it, then of the other."""

    asked: int | None = None
    """The MPTCP version that its SYN asked for."""
    answered: int | None = None
    """That of the MP_CAPABLE in the SYN-ACK."""
    confirmed: int | None = None
    """That of the MP_CAPABLE with both keys, which ends the handshake."""
    keys: list[bytes | None] = field(default_factory=lambda: [None, None])
    checksums: list[bool] = field(default_factory=lambda: [False, False])
    token: int | None = None
    """Of who is joined."""
    nonces: list[int | None] = field(default_factory=lambda: [None, None])
    ids: list[int | None] = field(default_factory=lambda: [None, None])
    backup: list[bool] = field(default_factory=lambda: [False, False])
    hmacs: list[bytes | None] = field(default_factory=lambda: [None, None])
    conflict: bool = False
    """Whether keys differ between the segments that carry them."""

    @property
    def joins(self) -> bool:
        """Whether any of its segments was for joining a connection."""
        return self.token is not None or self.nonces[1] is not None or self.hmacs != [None, None]

    @property
    def version(self) -> int | None:
        """The version that both agreed to, as far as the capture says; None when they did not."""
        said = {version for version in (self.asked, self.answered, self.confirmed) if version is not None}
        if len(said) != 1 or (self.answered is None and self.confirmed is None):
            return None
        (version,) = said
        return version if version in HASHES else None


def read_handshakes(flows: Flows) -> list[Handshake]:
    """One for each of the flows."""
    found = [Handshake() for _ in flows.flows]
    for option in flows.table.options:
        if not option.is_well_formed:
            continue
        handshake = found[flows.table.flow[option.row]]
        flags = int(flows.table.flags[option.row])
        side = int(flows.table.direction[option.row])
        if option.subtype == Subtype.MP_CAPABLE:
            _capable(handshake, option.octets, flags, side)
        elif option.subtype == Subtype.MP_JOIN:
            _join(handshake, option, flags, side)
    return found


def _capable(handshake: Handshake, octets: bytes, flags: int, side: int) -> None:
    version = octets[2] & 0x0F
    if flags & SYN and not flags & ACK:
        handshake.asked = version if handshake.asked is None else handshake.asked
    elif flags & SYN:
        handshake.answered = version if handshake.answered is None else handshake.answered
    elif len(octets) >= 20 and side == 0:
        handshake.confirmed = version
    else:
        return
    handshake.checksums[side] |= bool(octets[3] & CHECKSUM_REQUIRED)
    keys = (octets[4:12], octets[12:20]) if len(octets) >= 20 else (octets[4:12],)
    for at, key in enumerate(keys, start=side):
        if len(key) == 8 and at < 2:
            handshake.conflict |= handshake.keys[at] not in (None, key)
            handshake.keys[at] = handshake.keys[at] or key


def _join(handshake: Handshake, option: Option, flags: int, side: int) -> None:
    octets = option.octets
    if flags & SYN:
        handshake.ids[side], handshake.backup[side] = octets[3], bool(octets[2] & BACKUP)
    if flags & SYN and not flags & ACK and len(octets) == 12:
        handshake.token = int.from_bytes(octets[4:8], "big")
        handshake.nonces[0] = int.from_bytes(octets[8:12], "big")
    elif flags & SYN and flags & ACK and len(octets) == 16:
        handshake.hmacs[1] = octets[4:12]
        handshake.nonces[1] = int.from_bytes(octets[12:16], "big")
    elif not flags & SYN and len(octets) == 24 and side == 0:
        handshake.hmacs[0] = octets[4:24]
