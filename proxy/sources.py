"""The addresses of this host to begin connections from, one for each uplink, and which of them leads somewhere lately.

As a rule the routes decide. While they lead nowhere every connection would wait for that to show, so the source that
got through instead comes first for a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from socket import AF_INET, AF_INET6

AS_ROUTED = ""
"""The source that the routes give."""
DETOURS_TO_LEARN = 2
"""So many in a row: a single one may be due to a SYN that was lost."""
DETOUR_SECONDS = 30.0
"""Then the routes are tried again."""


@dataclass(slots=True)
class _Family:
    order: tuple[str, ...]
    detours: int = 0
    """Connections in a row that got through from another source only."""
    instead: str = AS_ROUTED
    until: float = 0.0
    """On the loop's clock."""


class Sources:
    """One per process."""

    __slots__ = ("_families", "are_given")

    def __init__(self, addresses: Sequence[str] = ()) -> None:
        """`addresses` of both families, in the order in which to try them."""
        self.are_given = bool(addresses)
        ipv4 = tuple(one for one in addresses if ":" not in one)
        ipv6 = tuple(one for one in addresses if ":" in one)
        self._families: dict[int, _Family] = {
            AF_INET: _Family((AS_ROUTED, *ipv4)),
            AF_INET6: _Family((AS_ROUTED, *ipv6)),
        }

    def order(self, family: int, now: float) -> tuple[str, ...]:
        """The sources to try for a host, all of them."""
        known = self._families[family]
        if now >= known.until:
            return known.order
        return known.instead, *(one for one in known.order if one != known.instead)

    def got_through(self, family: int, source: str, now: float) -> None:
        """A connection was made from `source`."""
        known = self._families[family]
        if source == AS_ROUTED:
            known.detours = 0
            known.until = 0.0
        elif now >= known.until:
            known.detours += 1
            if known.detours >= DETOURS_TO_LEARN:
                known.instead = source
                known.until = now + DETOUR_SECONDS
