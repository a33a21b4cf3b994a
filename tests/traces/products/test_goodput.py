"""Goodput over an interval of time or of acks, and on average."""

from __future__ import annotations

import pytest

from lab.errors import BadInputError
from tests.traces.products.simulation import S2C, Ack, at, connection
from traces.products.goodput import Interval, goodput, read_interval, usual_interval
from traces.products.plot import Plot, Role, Shape
from traces.products.sides import side_of

ACKS: list[Ack] = [(100, 0, S2C, 1000, 0), (200, 1, S2C, 3000, 0), (250, 0, S2C, 3000, 0), (600, 0, S2C, 4000, 0)]
TENTH = Interval(nanoseconds=100_000_000)


def rates(plot: Plot, name: str) -> list[tuple[float, float]]:
    """Milliseconds since the start, kB/s."""
    series = next(series for series in plot.series if series.name == name)
    return [((x - at(0)) / 1e6, round(y * 1e3, 6)) for x, y in zip(series.x.tolist(), series.y.tolist(), strict=True)]


def test_over_time_it_steps_when_acks_come_and_when_they_are_past() -> None:
    plot = goodput(side_of(connection(acks=ACKS), S2C), TENTH)
    assert rates(plot, "moving") == [
        (100, 10.0), (200, 20.0), (300, 0.0), (600, 10.0)
    ]  # fmt: skip


def test_over_acks_it_looks_back_so_many_that_acknowledged_something() -> None:
    plot = goodput(side_of(connection(acks=ACKS), S2C), Interval(acks=2))
    assert rates(plot, "moving") == [(600, 6.0)]


def test_the_mean_is_over_all_the_time_since_the_beginning() -> None:
    plot = goodput(side_of(connection(acks=ACKS), S2C), TENTH)
    (mean,) = (series for series in plot.series if series.role is Role.MEAN)
    assert mean.shape is Shape.STEPS
    assert rates(plot, "mean since the beginning") == [(100, 10.0), (200, 15.0), (600, round(4000 / 600, 6))]


@pytest.mark.parametrize(
    ("seconds", "interval"),
    [
        (0.0, 1000),
        (0.004, 200_000),
        (1.7, 50_000_000),
        (10, 500_000_000),
        (19.9, 500_000_000),
        (20, 10**9),
        (9999, 10**9),
    ],
)
def test_the_usual_interval_goes_twenty_times_into_short_connections(seconds: float, interval: int) -> None:
    assert usual_interval(seconds) == Interval(interval)


def test_without_an_interval_it_is_over_the_usual_one() -> None:
    plot = goodput(side_of(connection(acks=ACKS, duration=0.6), S2C), None)
    assert plot.title.endswith("goodput over 0.02 s")


def test_nothing_acknowledged_is_nothing_drawn() -> None:
    assert goodput(side_of(connection(), S2C), TENTH).series == ()
    assert goodput(side_of(connection(acks=[(0, 0, S2C, 5, 0)]), S2C), Interval(acks=2)).series == ()


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("1", Interval(1_000_000_000)),
        ("0.25", Interval(250_000_000)),
        ("2s", Interval(2_000_000_000)),
        ("500ms", Interval(500_000_000)),
        ("20acks", Interval(acks=20)),
    ],
)
def test_intervals_are_read(text: str, interval: Interval) -> None:
    assert read_interval(text, "--interval") == interval


@pytest.mark.parametrize("text", ["", "0", "-1s", "acks", "1acks", "1.5acks", "soon", "nan", "inf", "1e300", "s"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="--interval is"):
        read_interval(text, "--interval")


def test_the_title_says_what_the_average_is_over() -> None:
    side = side_of(connection(acks=ACKS), S2C)
    assert goodput(side, TENTH).title.endswith("goodput over 0.1 s")
    assert goodput(side, Interval(acks=20)).title.endswith("goodput over 20 data acks")
