"""Fewer values, and nothing that stands out is lost."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.products.simulation import S2C, at, transfer
from traces.products.plot import Role, Series, Shape
from traces.products.series import rtt, sequence
from traces.products.sides import side_of
from traces.products.thinning import thin, thinned


def points(y: list[int], x: list[int] | None = None) -> Series:
    times = np.array(x if x is not None else range(len(y)), dtype=np.int64) + at(0)
    return Series("values", Role.RTT, Shape.POINTS, 0, times, np.array(y, dtype=np.int64))


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(-50, 50)), min_size=1, max_size=300))
def test_first_last_lowest_and_highest_stay(values: list[tuple[int, int]]) -> None:
    values.sort(key=lambda pair: pair[0])
    series = points([y for _, y in values], [x for x, _ in values])
    few = thin(series, 40)
    assert len(few) <= 40
    assert (few.x[0], few.x[-1]) == (series.x[0], series.x[-1])
    assert (few.y[0], few.y[-1]) == (series.y[0], series.y[-1])
    assert (few.y.min(), few.y.max()) == (series.y.min(), series.y.max())
    everything = list(zip(series.x.tolist(), series.y.tolist(), strict=True))
    kept = list(zip(few.x.tolist(), few.y.tolist(), strict=True))
    assert set(kept) <= set(everything)
    assert kept == sorted(kept, key=lambda pair: pair[0])


def test_one_peak_in_a_million_values_stays() -> None:
    y = [10] * 1_000_000
    y[654_321] = 99
    few = thin(points(y), 1000)
    assert len(few) <= 1000
    assert few.x[few.y == 99].tolist() == [at(0) + 654_321]


def test_segments_keep_the_lowest_beginning_and_the_highest_end() -> None:
    series = points([5, 9, 1, 7, 5])
    segments = Series("data", Role.DATA, Shape.SEGMENTS, 0, series.x, series.y, series.y + np.array([1, 1, 1, 9, 1]))
    few = thin(segments, 4)
    assert few.top is not None
    assert list(zip(few.y.tolist(), few.top.tolist(), strict=True)) == [(5, 6), (1, 2), (7, 16), (5, 6)]


def test_labels_stay_with_their_points() -> None:
    series = points([0, 5, 0, 0, 0])
    named = Series("events", Role.EVENT, Shape.POINTS, 0, series.x, series.y, labels=("a", "b", "c", "d", "e"))
    assert thin(named, 4).labels == ("a", "b", "e")


def test_few_values_are_left_alone() -> None:
    series = points([3, 1, 2])
    assert thin(series, 3) is series


def test_values_of_one_time_can_be_thinned_too() -> None:
    few = thin(points(list(range(100)), [7] * 100), 8)
    assert few.y.tolist() == [0, 99]


def test_a_plot_says_how_much_is_left_out() -> None:
    plot = sequence(side_of(transfer(5000), S2C))
    few = thinned(plot, 400)
    assert few.note == f"{few.shown:,} of {few.total:,} values shown: the extremes of each short interval"
    assert few.shown < few.total == sum(len(series) for series in plot.series)
    assert thinned(rtt(side_of(transfer(50), S2C)), 400).note == ""
