"""Who may use the proxy, and where it will not go. Closed unless opened."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache

from proxy.options import Network

REMEMBERED = 4096
"""Verdicts kept, by address: parsing one anew costs more than all else that accepting a connection does in Python."""

FORBIDDEN_DESTINATIONS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
        "::/128", "::1/128", "fe80::/10", "ff00::/8", "fd00:ec2::254/128",
    )
)  # fmt: skip
"""The proxy's own loopback, unspecified (which the kernel takes for loopback), link-local with the metadata services
that live there, multicast."""

LOOPBACK = tuple(ipaddress.ip_network(text) for text in ("127.0.0.0/8", "::1/128"))
Verdict = Callable[[str], bool]


def clients_within(networks: Iterable[Network]) -> Verdict:
    """Whether a client with this address is served."""
    allowed = tuple(networks)

    @lru_cache(REMEMBERED)
    def verdict(host: str) -> bool:
        return _within(host, allowed)

    return verdict


def destinations(*, allow_loopback: bool) -> Verdict:
    """Whether the proxy connects to this address (an address: names are judged by what they resolve to)."""
    forbidden = tuple(n for n in FORBIDDEN_DESTINATIONS if not (allow_loopback and n in LOOPBACK))

    @lru_cache(REMEMBERED)
    def verdict(host: str) -> bool:
        return not _within(host, forbidden)

    return verdict


def _within(host: str, networks: tuple[Network, ...]) -> bool:
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        # The kernel connects ::ffff:127.0.0.1 to 127.0.0.1, so the rules must see what it sees.
        address = address.ipv4_mapped
    return any(address in network for network in networks)
