"""Each test against values from textbooks, against plain enumeration, and against what it promises."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import pytest
import scipy  # its submodules are loaded when they are used first: scipy.stats takes a second
from hypothesis import given
from hypothesis import strategies as st

from traces.neutrality.statistics import (
    Stratum,
    bootstrap_gap,
    bootstrap_interval,
    equivalence,
    fisher,
    holm,
    sign_flip,
)

# Heights of cross-fertilised against self-fertilised plants, in eighths of an inch (Darwin 1876, Fisher 1935).
DARWIN = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)


@st.composite
def strata(draw: st.DrawFn) -> Stratum:
    tried, other_tried = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    return Stratum(draw(st.integers(0, tried)), tried, draw(st.integers(0, other_tried)), other_tried)


def by_enumeration(several: Sequence[Stratum]) -> float:
    """The stratified test gone through outcome by outcome, each with its chance."""
    outcomes = []
    for one in several:
        hits, tried = one.hits + one.other_hits, one.tried + one.other_tried
        ways = {
            k: math.comb(one.tried, k) * math.comb(one.other_tried, hits - k)
            for k in range(max(0, hits - one.other_tried), min(hits, one.tried) + 1)
        }
        outcomes.append([(k, way / math.comb(tried, hits)) for k, way in ways.items()])
    chances: dict[int, float] = {}
    for combination in itertools.product(*outcomes):
        total = sum(k for k, _ in combination)
        chances[total] = chances.get(total, 0.0) + math.prod(chance for _, chance in combination)
    observed = chances[sum(one.hits for one in several)]
    return sum(chance for chance in chances.values() if chance <= observed * (1 + 1e-9))


class TestFisher:
    @pytest.mark.parametrize(
        ("table", "expected"),
        [
            (Stratum(3, 4, 1, 4), 34 / 70),  # the lady who tastes tea (Fisher 1935), two-sided
            (Stratum(4, 4, 0, 4), 2 / 70),
            (Stratum(1, 12, 9, 12), 0.002759456),  # who diets
            (Stratum(5, 5, 0, 5), 2 / 252),
            (Stratum(5, 5, 5, 5), 1.0),
        ],
    )
    def test_textbook_values(self, table: Stratum, expected: float) -> None:
        assert fisher([table]) == pytest.approx(expected, rel=1e-6)

    @given(strata())
    def test_of_one_stratum_is_the_usual_one(self, one: Stratum) -> None:
        table = [[one.hits, one.tried - one.hits], [one.other_hits, one.other_tried - one.other_hits]]
        assert fisher([one]) == pytest.approx(float(scipy.stats.fisher_exact(table).pvalue), rel=1e-6)

    @given(st.lists(strata(), min_size=1, max_size=4))
    def test_of_several_is_what_enumeration_says(self, several: list[Stratum]) -> None:
        assert fisher(several) == pytest.approx(min(1.0, by_enumeration(several)), rel=1e-6)

    def test_strata_in_which_all_or_none_succeed_say_nothing(self) -> None:
        telling = Stratum(5, 5, 1, 5)
        silent = [Stratum(0, 5, 0, 5), Stratum(5, 5, 5, 5)]
        assert fisher([telling, *silent]) == pytest.approx(fisher([telling]))

    def test_conditions_that_differ_are_not_taken_for_groups_that_differ(self) -> None:
        # Added up, 11 of 12 against 6 of 12; but within each condition the groups fare alike.
        unbalanced = [Stratum(10, 10, 5, 5), Stratum(1, 2, 3, 6)]
        assert fisher(unbalanced) == pytest.approx(1.0)

    def test_nothing_tried_is_no_difference(self) -> None:
        assert fisher([]) == 1.0


class TestHolm:
    def test_values_of_r(self) -> None:
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    @given(st.lists(st.floats(0, 1), max_size=10))
    def test_is_between_no_correction_and_that_of_bonferroni(self, values: list[float]) -> None:
        corrected = holm(values)
        for value, after in zip(values, corrected, strict=True):
            assert value <= after <= min(1.0, len(values) * value) + 1e-12

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
    def test_keeps_the_order_and_corrects_the_least_for_all(self, values: list[float]) -> None:
        corrected = holm(values)
        assert min(corrected) == pytest.approx(min(1.0, len(values) * min(values)))
        pairs = sorted(zip(values, corrected, strict=True))
        assert [after for _, after in pairs] == sorted(corrected)


class TestSignFlip:
    @pytest.mark.parametrize(
        ("differences", "expected"),
        [
            ((1, 2, 3, 4, 5), 2 / 32),
            ((1, 2, -3), 1.0),
            ((4, 4, 4, -1), 4 / 16),
            (DARWIN, 2 * 863 / 2**15),
            ((0.5,), 1.0),
        ],
    )
    def test_known_values(self, differences: Sequence[float], expected: float) -> None:
        assert sign_flip(differences) == pytest.approx(expected)

    @given(st.lists(st.integers(-20, 20), min_size=2, max_size=8))
    def test_is_what_enumeration_says(self, differences: list[int]) -> None:
        sums = [
            abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
            for signs in itertools.product((1, -1), repeat=len(differences))
        ]
        as_extreme = sum(total >= abs(sum(differences)) for total in sums)
        assert sign_flip([float(value) for value in differences]) == pytest.approx(as_extreme / len(sums))

    def test_of_many_pairs_is_drawn_and_the_same_each_time(self) -> None:
        chance = random.Random(1)
        many = [chance.gauss(0.1, 1) for _ in range(40)]
        assert sign_flip(many) == sign_flip(many)
        assert sign_flip(many) == pytest.approx(float(scipy.stats.ttest_1samp(many, 0).pvalue), abs=0.02)


class TestBootstrapInterval:
    @pytest.mark.slow
    def test_covers_the_mean_about_as_often_as_it_says(self) -> None:
        chance = random.Random(2)
        samples = [[chance.gauss(0.3, 1) for _ in range(12)] for _ in range(100)]
        covered = sum(low < 0.3 < high for low, high in (bootstrap_interval(sample, 0.9) for sample in samples))
        assert 78 <= covered <= 97

    def test_moves_along_with_what_is_measured(self) -> None:
        values = [0.1, 0.4, -0.2, 0.3, 0.2]
        low, high = bootstrap_interval(values, 0.99)
        moved = bootstrap_interval([value + 5 for value in values], 0.99)
        assert moved == pytest.approx((low + 5, high + 5))
        assert low < 0.16 < high

    def test_is_the_same_each_time(self) -> None:
        assert bootstrap_interval(DARWIN, 0.95) == bootstrap_interval(DARWIN, 0.95)

    def test_of_what_does_not_vary_is_a_point(self) -> None:
        assert bootstrap_interval([0.5, 0.5, 0.5], 0.99) == (0.5, 0.5)

    def test_of_a_gap_is_that_of_the_difference_of_the_centres(self) -> None:
        low, high = bootstrap_gap([1.0, 1.1, 0.9, 1.0], [0.0, 0.1, -0.1, 0.05], 0.99)
        assert 0.8 < low < 0.9875 < high < 1.2


class TestEquivalence:
    def test_is_the_trimmed_t_test_by_hand(self) -> None:
        """Of ten values six are kept; Winsorised, the ends are -0.1 and 0.1 three times each."""
        values = [-5.0, -0.3, -0.1, -0.1, 0.0, 0.0, 0.1, 0.1, 0.2, 0.4]
        deviation = math.sqrt(8 * 0.1**2 / 9)
        error = deviation / (0.6 * math.sqrt(10))
        assert equivalence(values, 0.2) == pytest.approx(float(scipy.stats.t.sf(0.2 / error, 5)))

    def test_of_values_that_differ_is_about_that_of_the_usual_t_test(self) -> None:
        chance = random.Random(4)
        values = [chance.gauss(0.05, 0.3) for _ in range(200)]
        usual = float(scipy.stats.ttest_1samp(values, 0.1, alternative="less").pvalue)
        assert equivalence(values, 0.1) == pytest.approx(usual, abs=0.05)

    @pytest.mark.parametrize("centre", [0.2, 0.3, -0.3, -5.0])
    def test_is_not_shown_at_the_margin_or_beyond(self, centre: float) -> None:
        assert equivalence([centre + shift for shift in (-0.02, -0.01, -0.03, 0.0, 0.01, 0.02, 0.03, 0.0)], 0.2) > 0.4

    def test_is_shown_falsely_about_as_rarely_as_it_says(self) -> None:
        chance = random.Random(3)
        samples = [[0.2 + chance.gauss(0, 0.1) for _ in range(10)] for _ in range(200)]
        assert sum(equivalence(sample, 0.2) < 0.05 for sample in samples) <= 18

    def test_one_pair_shows_nothing(self) -> None:
        assert equivalence([0.0], 0.2) == 1.0

    def test_pairs_in_which_a_syn_was_lost_do_not_hide_it(self) -> None:
        assert equivalence([-0.03, -0.02, 0.1, -2.4, -0.03, 0.05, -0.02, -2.2, 2.2, -0.02], 0.22) < 0.05

    def test_few_scattered_pairs_show_neither_difference_nor_equivalence(self) -> None:
        scattered = [-0.9, 0.8, 0.5, -0.6, 0.7, -0.2]
        assert sign_flip(scattered) > 0.05
        assert equivalence(scattered, 0.2) > 0.05
