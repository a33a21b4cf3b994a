"""Every two arms compared: are they answered equally often at each TTL, and with the same TTL?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from traces.neutrality.criteria import FEWEST_REPLIES, SIGNIFICANCE
from traces.neutrality.model import Arm
from traces.neutrality.profile import Profile
from traces.neutrality.statistics import Stratum, fisher, holm


@dataclass(frozen=True, slots=True)
class Comparison:
    """p-values of Fisher's exact test for two arms, after Holm's correction for all of a target."""

    reach: float
    """That they are answered equally often at each TTL."""
    far_reach: float
    """The same for those TTLs alone that suffice to reach what the arm farthest away is answered by."""
    reply_ttl: float
    """That the TTL of the SYN-ACKs is equally often the most frequent one of the first arm."""

    @property
    def differs(self) -> bool:
        return min(self.reach, self.far_reach, self.reply_ttl) < SIGNIFICANCE


Comparisons = Mapping[frozenset[Arm], Comparison]


def compare(arms: Mapping[Arm, Profile]) -> Comparisons:
    """A comparison for every two arms that were probed."""
    pairs = list(combinations(arms.values(), 2))
    far = far_ttl(arms.values())
    values = []
    for one, other in pairs:
        values += [
            fisher(_strata(one, other, 0)),
            1.0 if far is None else fisher(_strata(one, other, far)),
            _reply_ttls(one, other),
        ]
    corrected = iter(holm(values))
    return {
        frozenset((one.arm, other.arm)): Comparison(next(corrected), next(corrected), next(corrected))
        for one, other in pairs
    }


def far_ttl(arms: Iterable[Profile]) -> int | None:
    """The TTL that suffices for every arm that is answered at all; None when none is."""
    lowest = [arm.lowest_ttl for arm in arms if arm.lowest_ttl is not None and arm.answered >= FEWEST_REPLIES]
    return max(lowest, default=None)


def _strata(one: Profile, other: Profile, ttl: int) -> list[Stratum]:
    others = {sweep.ttl: sweep for sweep in other.from_ttl(ttl)}
    return [
        Stratum(sweep.answered, sweep.sent, others[sweep.ttl].answered, others[sweep.ttl].sent)
        for sweep in one.from_ttl(ttl)
        if sweep.ttl in others
    ]


def _reply_ttls(one: Profile, other: Profile) -> float:
    """1 when one of them is hardly answered: then there is nothing to compare."""
    if min(one.answered, other.answered) < FEWEST_REPLIES:
        return 1.0
    ours, theirs = dict(one.reply_ttls), dict(other.reply_ttls)
    usual = one.reply_ttls[0][0]
    return fisher([Stratum(ours[usual], one.answered, theirs.get(usual, 0), other.answered)])
