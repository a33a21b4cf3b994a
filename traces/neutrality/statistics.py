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
TRIMMED = 0.25
"""Share that is left out at either end."""
MOST_ENUMERATED = 1 << 15
"""Sign flips: up to 15 pairs they are all gone through, for more so many are drawn."""


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
        if hits in {0, total}:
            continue
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


def trimmed_mean(values: Sequence[float] | Floats) -> float:
    """The mean without a share of the values at either end.

    A lost SYN costs a second, a hundred times what a short transfer takes: one such pair must not decide.
    """
    return float(scipy.stats.trim_mean(values, TRIMMED))


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p-value of the permutation test of paired differences: that either sign is as likely for each."""
    if len(differences) < 2:
        return 1.0
    found = scipy.stats.permutation_test(
        (np.asarray(differences),), np.mean, permutation_type="samples", n_resamples=MOST_ENUMERATED, rng=_generator()
    )
    return float(found.pvalue)


def equivalence(differences: Sequence[float], margin: float) -> float:
    """p-value of two one-sided tests (TOST): that the trimmed mean is `margin` or more away from 0.

    Each is a t-test of the trimmed mean, with the variance of the Winsorised values (Yuen 1974).
    """
    values = np.sort(differences)
    cut = int(TRIMMED * len(values))
    kept = len(values) - 2 * cut
    centre = trimmed_mean(values)
    if kept < 2:
        return 1.0
    deviation = float(np.std(np.clip(values, values[cut], values[-cut - 1]), ddof=1))
    error = deviation * np.sqrt(len(values)) / kept
    if not error:
        return 0.0 if abs(centre) < margin else 1.0
    return float(scipy.stats.t.sf((margin - abs(centre)) / error, kept - 1))


def bootstrap_interval(differences: Sequence[float], confidence: float) -> tuple[float, float]:
    """Confidence interval of the trimmed mean (bias-corrected and accelerated bootstrap)."""
    return _interval((np.asarray(differences),), _centre, confidence)


def bootstrap_gap(ones: Sequence[float], others: Sequence[float], confidence: float) -> tuple[float, float]:
    """Confidence interval of how far the trimmed mean of `ones` is above that of `others`, likewise."""
    return _interval((np.asarray(ones), np.asarray(others)), _gap, confidence)


def _interval(samples: tuple[Floats, ...], statistic: Callable[..., Floats], confidence: float) -> tuple[float, float]:
    if not any(np.ptp(values) for values in samples):
        only = float(statistic(*samples))
        return only, only
    found = scipy.stats.bootstrap(
        samples, statistic, confidence_level=confidence, n_resamples=RESAMPLES, method="BCa", rng=_generator()
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _centre(values: Floats, axis: int = -1) -> Floats:
    return np.asarray(scipy.stats.trim_mean(values, TRIMMED, axis=axis))


def _gap(ones: Floats, others: Floats, axis: int = -1) -> Floats:
    return _centre(ones, axis) - _centre(others, axis)


def _generator() -> np.random.Generator:
    return np.random.default_rng(SEED)
