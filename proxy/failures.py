"""How often a client's address has given a wrong password: guessing is slowed down by refusing to listen."""

from __future__ import annotations

from collections import OrderedDict
from socket import AF_INET6, inet_ntoa, inet_pton

WINDOW_SECONDS = 60.0
REMEMBERED = 16384
"""Addresses, some 4 MiB at most. Beyond, the one whose minute ends first is let off."""
_MAPPED = bytes(10) + b"\xff\xff"


class Failures:
    """For each address a minute begins with its first failure; after `per_minute` it is refused until that is over.

    Times are in seconds of any clock that only goes forward.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._counts: OrderedDict[str | bytes, tuple[float, int]] = OrderedDict()
        """When the minute ends, and the failures in it; the first is the one that ends first."""

    def add(self, host: str, now: float) -> None:
        """A wrong password has come from this address."""
        source = _source(host)
        until, count = self._counts.get(source, (now, 0))
        if now >= until:
            until, count = now + WINDOW_SECONDS, 0
        self._counts[source] = until, count + 1
        if not count:
            self._counts.move_to_end(source)
            if len(self._counts) > REMEMBERED:
                self._counts.popitem(last=False)

    def refused(self, host: str, now: float) -> bool:
        """Whether this address is to be refused unheard. Costs next to nothing while nobody fails."""
        if not self._counts:
            return False
        until, count = self._counts.get(_source(host), (now, 0))
        return count >= self._per_minute and now < until


def _source(host: str) -> str | bytes:
    """Who is counted as one: an IPv4 address, or all of an IPv6 /64, which is what a single host usually has."""
    if ":" not in host:
        return host
    octets = inet_pton(AF_INET6, host.partition("%")[0])
    if octets.startswith(_MAPPED):
        return inet_ntoa(octets[12:])
    return octets[:8]
