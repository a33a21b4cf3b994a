"""What the proxy must reach, and what medians and ratios of the rounds say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.proxy.bench.contenders import DANTE, MICROSOCKS, OURS_5, OURS_6, Contender
from tests.proxy.bench.rounds import Metric, Round


def median_of(rounds: Sequence[Round], metric: Metric, contender: Contender) -> float | None:
    """The median over the rounds; None where the metric does not apply."""
    found = [one[contender.key][metric] for one in rounds if metric in one.get(contender.key, ())]
    return median(found) if found else None


def ratio_of(rounds: Sequence[Round], metric: Metric, contender: Contender, reference: Contender) -> float | None:
    """The median of the ratios in each round: a machine that is slow for a round is slow for both."""
    pairs = [
        (one[contender.key][metric], one[reference.key][metric])
        for one in rounds
        if all(metric in one.get(other.key, ()) for other in (contender, reference))
    ]
    ratios = [mine / theirs for mine, theirs in pairs if theirs]
    return median(ratios) if ratios else None


@dataclass(frozen=True, slots=True)
class Bar:
    """A floor for a ratio to `reference`; or, without one, a ceiling for the value itself."""

    contender: Contender
    metric: Metric
    limit: float
    reference: Contender | None = None

    def reached(self, rounds: Sequence[Round]) -> float | None:
        """What there is to compare with `limit`; None when it could not be measured."""
        if self.reference is None:
            return median_of(rounds, self.metric, self.contender)
        return ratio_of(rounds, self.metric, self.contender, self.reference)

    def is_missed(self, rounds: Sequence[Round]) -> bool:
        """A bar that was not measured is missed, too."""
        reached = self.reached(rounds)
        if reached is None:
            return True
        return reached > self.limit if self.reference is None else reached < self.limit

    @property
    def title(self) -> str:
        wanted = f"≤ {self.limit:g}" if self.reference is None else f"≥ {self.limit:g} x {self.reference.title}"
        return f"{self.contender.title}, {self.metric}: {wanted}"

    def line(self, rounds: Sequence[Round]) -> str:
        """How it stands, in words."""
        reached = self.reached(rounds)
        if reached is None:
            return f"MISSED        {self.title}; it was not measured"
        value = f"{reached:.2f}{'' if self.reference is None else ' x'}"
        return f"{'MISSED' if self.is_missed(rounds) else 'met':<14}{self.title}; it is {value}"


BARS = (
    Bar(OURS_5, Metric.CONNECTIONS, 2.5, DANTE),
    Bar(OURS_5, Metric.CONNECTIONS, 1.0, MICROSOCKS),
    Bar(OURS_6, Metric.CONNECTIONS, 1.2, OURS_5),
    *(Bar(ours, Metric.ROUND_TRIPS, 1.0, DANTE) for ours in (OURS_5, OURS_6)),
    *(Bar(ours, way, 1.3, DANTE) for way in (Metric.DOWN, Metric.UP) for ours in (OURS_5, OURS_6)),
    *(Bar(ours, Metric.IDLE, 8.0) for ours in (OURS_5, OURS_6)),
    *(Bar(ours, Metric.FAILED, 0.0) for ours in (OURS_5, OURS_6)),
)
