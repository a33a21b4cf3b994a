"""Which probes to send: a first pass over the TTLs, then repeats where it matters. Pure."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from traces.neutrality.model import Answer, Arm, Probe

FULL_TTL = 64
NEARER_TTLS = 20
"""The first pass goes on beyond only when something is not answered within."""
ROUNDS = 6
"""After this many nothing is asked any more, however lossy the path."""
ANSWERED = (Answer.SYN_ACK, Answer.RST)


@dataclass(frozen=True, slots=True, order=True)
class Shot:
    """One probe that is to be sent."""

    arm: Arm
    ttl: int


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is sent."""

    repeats: int = 5
    """Probes of each arm at each TTL that matters."""
    max_ttl: int = 30
    """The first pass ends there; servers lie within."""


def shots(effort: Effort, done: Iterable[Probe], round_number: int, chance: random.Random) -> list[Shot]:
    """The probes of one round in a random order; none when all is known, or after `ROUNDS`."""
    if round_number >= ROUNDS:
        return []
    probes = list(done)
    wanted = Counter(_first_pass(effort, probes))
    if probes:
        wanted |= Counter(_repeats(effort, probes))
    sent = Counter(Shot(probe.arm, probe.ttl) for probe in probes)
    missing = sorted((wanted - sent).elements())
    chance.shuffle(missing)
    return missing


def lowest_answered(probes: Iterable[Probe], arm: Arm) -> int | None:
    """The lowest TTL at which anything of TCP came back to that arm."""
    return min((probe.ttl for probe in probes if probe.arm is arm and probe.answer in ANSWERED), default=None)


def _first_pass(effort: Effort, probes: list[Probe]) -> Iterator[Shot]:
    """Once at each TTL; to the end, when some arm is not answered in the nearer part."""
    is_near = not probes or all((lowest_answered(probes, arm) or FULL_TTL) <= NEARER_TTLS for arm in Arm)
    last = min(effort.max_ttl, NEARER_TTLS) if is_near else effort.max_ttl
    for arm in Arm:
        yield from (Shot(arm, ttl) for ttl in (*range(1, last + 1), FULL_TTL))


def _repeats(effort: Effort, probes: list[Probe]) -> Iterator[Shot]:
    """All arms alike on either side of each edge, and with a TTL that suffices for every path."""
    for ttl in sorted({FULL_TTL, *_edges(probes)}):
        for arm in Arm:
            yield from [Shot(arm, ttl)] * effort.repeats


def _edges(probes: list[Probe]) -> Iterator[int]:
    """The TTLs just below and at those where some arm is first answered, or an option is first quoted with a change."""
    for arm in Arm:
        mine = [probe for probe in probes if probe.arm is arm]
        for edge in (lowest_answered(mine, arm), *_first_changes(mine)):
            if edge is not None and edge < FULL_TTL:
                yield from range(max(1, edge - 1), edge + 1)


def _first_changes(probes: list[Probe]) -> Iterable[int]:
    """For each option by itself: routers that clamp the MSS are no sign of those that strip another."""
    first: dict[str, int] = {}
    for probe in probes:
        for name in probe.quote.changed if probe.quote else ():
            if "option" in name:
                first[name] = min(probe.ttl, first.get(name, probe.ttl))
    return first.values()
