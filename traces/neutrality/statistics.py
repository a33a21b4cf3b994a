"""The tests behind the verdicts. Seeds are fixed: the same measurement gives the same verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy  # its submodules are loaded when they are used first: scipy.stats takes a second
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

SEED = 8684
RESAMPLES = 9_999
MOST_ENUMERATED = 1 << 14
"""Sign flips: up to 14 pairs they are all gone through, for more so many are drawn."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """Two groups that were tried under the same condition, such as two arms at one TTL."""

    hits: int
    tried: int
    other_hits: int
    other_tried: int


def fisher(strata: Iterable[Stratum]) -> float:
    """Two-sided p-value of Fisher's exact test, stratified: that the groups have the same chance within each stratum.

    Each stratum keeps its margins, so hits of the first group are hypergeometric in it, and their sum over the strata
    has the convolution as its distribution. Outcomes that are no likelier than the observed one count as extreme, as in
    the plain test, which this is for one stratum. What makes SYNs fail at random, or at some TTLs, or for a while, does
    so in both groups alike, since the probes are shuffled.
    """
    distribution, observed = np.ones(1), 0
    for stratum in strata:
        total = stratum.tried + stratum.other_tried
        hits = stratum.hits + stratum.other_hits
        fewest, most = max(0, hits - stratum.other_tried), min(hits, stratum.tried)
        chances = scipy.stats.hypergeom.pmf(np.arange(fewest, most + 1), total, hits, stratum.tried)
        distribution = np.convolve(distribution, chances)
        observed += stratum.hits - fewest
    # Equal chances differ in their last digits.
    as_extreme = distribution <= distribution[observed] * (1 + 1e-9)
    return float(min(1.0, distribution[as_extreme].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm 1979), in the same order."""
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p-value of the permutation test of paired differences: that either sign is as likely for each."""
    if len(differences) < 2:
        return 1.0
    found = scipy.stats.permutation_test(
        (np.asarray(differences),), _mean, permutation_type="samples", n_resamples=MOST_ENUMERATED, rng=_generator()
    )
    return float(found.pvalue)


def bootstrap_interval(differences: Sequence[float], confidence: float) -> tuple[float, float]:
    """Confidence interval of the mean (bias-corrected and accelerated bootstrap)."""
    return _interval((np.asarray(differences),), _mean, confidence)


def bootstrap_gap(ones: Sequence[float], others: Sequence[float], confidence: float) -> tuple[float, float]:
    """Confidence interval of how far the mean of `ones` is above that of `others`, likewise."""
    return _interval((np.asarray(ones), np.asarray(others)), _gap, confidence)


def equivalence(differences: Sequence[float], margin: float) -> float:
    """p-value of two one-sided t-tests (TOST): that the mean is `margin` or more away from 0."""
    values = np.asarray(differences)
    if not np.ptp(values):
        # Nothing varies, or there is but one: the t-test has no answer.
        return 0.0 if len(values) > 1 and abs(values[0]) < margin else 1.0
    above = scipy.stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(values, margin, alternative="less").pvalue
    return float(max(above, below))


def _interval(samples: tuple[Floats, ...], statistic: Callable[..., Floats], confidence: float) -> tuple[float, float]:
    if not any(np.ptp(values) for values in samples):
        only = float(statistic(*samples))
        return only, only
    found = scipy.stats.bootstrap(
        samples, statistic, confidence_level=confidence, n_resamples=RESAMPLES, method="BCa", rng=_generator()
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _mean(values: Floats, axis: int = -1) -> Floats:
    return np.asarray(np.mean(values, axis=axis))


def _gap(ones: Floats, others: Floats, axis: int = -1) -> Floats:
    return _mean(ones, axis) - _mean(others, axis)


def _generator() -> np.random.Generator:
    return np.random.default_rng(SEED)
