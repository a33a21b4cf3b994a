"""How fast transfers with plain TCP and with MPTCP were, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from traces.neutrality.criteria import CONFIDENCE, EQUIVALENCE, FEWEST_PAIRS, MARGIN, SIGNIFICANCE
from traces.neutrality.model import Transfer
from traces.neutrality.statistics import bootstrap_gap, bootstrap_interval, equivalence, sign_flip, trimmed_mean


@dataclass(frozen=True, slots=True)
class Speed:
    """The rates of one target. Means are of logarithms, and trimmed."""

    pairs: int
    """Pairs that count: both transfers whole, and MPTCP agreed in the one that asked for it."""
    tried: int
    broken: int
    """Pairs in which a transfer broke off."""
    refused: int
    """Whole pairs in which MPTCP was not agreed."""
    plain_rates: tuple[float, ...]
    """Octets per second, of each pair that counts."""
    mptcp_rates: tuple[float, ...]
    log_ratios: tuple[float, ...]
    """Of MPTCP to plain TCP."""
    plain: float
    """Octets per second."""
    mptcp: float
    ratio: float
    """Of MPTCP to plain TCP, within the pairs."""
    interval: tuple[float, float] | None
    """Of the ratio; None for a single pair."""
    difference_p: float
    """Sign-flip test."""
    equivalence_p: float
    """Two one-sided tests, within the margin."""

    @property
    def is_enough(self) -> bool:
        return self.pairs >= FEWEST_PAIRS

    @property
    def is_slower(self) -> bool:
        """Whether MPTCP is."""
        return self.ratio < 1

    @property
    def differs(self) -> bool:
        """Whether one is faster by more than the margin, beyond doubt."""
        return self.is_enough and is_beyond_margin(self.interval) and self.difference_p < SIGNIFICANCE

    def differs_more_than(self, reference: Speed) -> bool:
        """Whether the ratio is farther from 1 than that of `reference`, on the same side, by more than the margin."""
        low, high = bootstrap_gap(self.log_ratios, reference.log_ratios, CONFIDENCE)
        return self.is_slower == (high < 0) and is_beyond_margin((math.exp(low), math.exp(high)))

    @property
    def is_equal(self) -> bool:
        """Whether they are equally fast within the margin, beyond doubt.

        Where some transfers stall, the test that leaves out the ends sees too little of them: the interval sees more.
        """
        return self.is_enough and self.equivalence_p < EQUIVALENCE and is_within_margin(self.interval)

    @property
    def words(self) -> str:
        """The figures for a person."""
        spread = f" ({self.interval[0]:.2f} to {self.interval[1]:.2f})" if self.interval else ""
        return (
            f"{self.mptcp / 1e6:.1f} MB/s with MPTCP against {self.plain / 1e6:.1f} MB/s with plain TCP, "
            f"ratio {self.ratio:.2f}{spread} in {self.pairs} pairs"
        )


Pairs = Sequence[tuple[Transfer, Transfer]]


def is_undecided(pairs: Pairs) -> bool:
    """Whether more pairs would help to tell if the rates differ."""
    speed = measure_speed(pairs)
    return speed is not None and not speed.differs and not speed.is_equal


def measure_speed(pairs: Pairs) -> Speed | None:
    """The rates of the pairs, plain TCP first; None when there is no whole pair with MPTCP in it."""
    whole = [pair for pair in pairs if all(_is_whole(transfer) for transfer in pair)]
    counted = [(plain, mptcp) for plain, mptcp in whole if mptcp.agreed and not plain.agreed]
    if not counted:
        return None
    plain = [math.log(_rate(transfer)) for transfer, _ in counted]
    mptcp = [math.log(_rate(transfer)) for _, transfer in counted]
    ratios = [ours - theirs for ours, theirs in zip(mptcp, plain, strict=True)]
    return Speed(
        pairs=len(counted),
        tried=len(pairs),
        broken=len(pairs) - len(whole),
        refused=len(whole) - len(counted),
        plain_rates=tuple(_rate(transfer) for transfer, _ in counted),
        mptcp_rates=tuple(_rate(transfer) for _, transfer in counted),
        log_ratios=tuple(ratios),
        plain=math.exp(trimmed_mean(plain)),
        mptcp=math.exp(trimmed_mean(mptcp)),
        ratio=math.exp(trimmed_mean(ratios)),
        interval=_interval(ratios),
        difference_p=sign_flip(ratios),
        equivalence_p=equivalence(ratios, math.log(MARGIN)),
    )


def is_beyond_margin(interval: tuple[float, float] | None) -> bool:
    """Whether all of an interval of ratios is beyond the margin, on one side."""
    return interval is not None and (interval[1] < 1 / MARGIN or interval[0] > MARGIN)


def is_within_margin(interval: tuple[float, float] | None) -> bool:
    """Whether all of an interval of ratios is within the margin."""
    return interval is not None and interval[0] > 1 / MARGIN and interval[1] < MARGIN


def _interval(log_ratios: Sequence[float]) -> tuple[float, float] | None:
    if len(log_ratios) < 2:
        return None
    low, high = bootstrap_interval(log_ratios, CONFIDENCE)
    return math.exp(low), math.exp(high)


def _is_whole(transfer: Transfer) -> bool:
    return transfer.complete and transfer.octets > 0 and transfer.seconds > 0


def _rate(transfer: Transfer) -> float:
    return transfer.octets / transfer.seconds
