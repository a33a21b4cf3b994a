"""The ways to a destination, in the order in which to try them: its addresses, and for each of them our own addresses
to begin from, where this host has several uplinks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import NamedTuple

from proxy.resolver import Candidate
from proxy.sources import AS_ROUTED, Sources

UNANSWERED_SECONDS = 1.0
"""After so long without an answer a host is tried from the next source address as well: the kernel's second SYN leaves
then."""


class Way(NamedTuple):
    """How to try an address."""

    family: int
    host: str
    source: str = AS_ROUTED
    """The address of ours to begin from."""
    more_sources: tuple[str, ...] = ()
    """To begin from after this one."""
    due: float = 0.0
    """When it is to begin, on the loop's clock, although nothing has failed. Only for those after the first."""


class Ways:
    """Those that have not been tried yet."""

    __slots__ = ("_addresses", "_delay", "_detours", "_sources", "_tried")

    def __init__(self, candidates: Sequence[Candidate], *, delay: float | None, sources: Sources) -> None:
        """`candidates` are in the order of preference. `delay` is the seconds between the beginnings of two that race
        (RFC 8305, the Connection Attempt Delay); None: they do not race."""
        self._addresses = candidates if delay is None else interleaved(candidates)
        self._tried = 0
        """So many of the addresses, from one source at least."""
        self._delay = delay
        self._sources = sources
        self._detours: tuple[Way, ...] = ()

    def take(self, now: float) -> Way | None:
        """The next way, which begins now; None when there are no more."""
        untried = self._tried < len(self._addresses)
        # All addresses before any detour in a race; else every way to an address before the next address.
        if self._detours and not (untried and self._delay is not None):
            way, *later = self._detours
            self._detours = tuple(later)
        elif untried:
            family, host = self._addresses[self._tried]
            self._tried += 1
            if not self._sources.are_given:
                return Way(family, host)
            source, *others = self._sources.order(family, now)
            way = Way(family, host, source, tuple(others))
        else:
            return None
        if way.more_sources:
            source, *others = way.more_sources
            detour = Way(way.family, way.host, source, tuple(others), now + UNANSWERED_SECONDS)
            self._detours = (*self._detours, detour)
        return way

    def due(self, now: float) -> float | None:
        """When the next way is to begin, at the latest; None: when those before have failed, or never."""
        if self._delay is not None and self._tried < len(self._addresses):
            return now + self._delay
        return self._detours[0].due if self._detours else None

    def leave_out(self, host: str) -> None:
        """The host itself has said no: from another source address it would say the same."""
        self._detours = tuple([way for way in self._detours if way.host != host])

    def clear(self) -> None:
        self._tried = len(self._addresses)
        self._detours = ()


def interleaved(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """The families in turn, beginning with the best address (RFC 8305 section 4)."""
    if len(candidates) < 3:
        return candidates
    best = candidates[0][0]
    first = [one for one in candidates if one[0] == best]
    second = [one for one in candidates if one[0] != best]
    return [one for one in chain.from_iterable(zip_longest(first, second)) if one is not None]
