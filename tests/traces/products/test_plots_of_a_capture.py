"""Plots of a real capture: two subflows, 1.5 MB from the client, snap length 128."""

from __future__ import annotations

import pytest

from lab.progress import Progress
from tests.traces.conftest import capture
from traces.mptcp.model import Connection, Direction
from traces.products.goodput import Interval
from traces.products.plot import Plot, Product, Role
from traces.products.products import plots
from traces.summary import read_trace

BOTH = "v1/v1_two_subflows.wlan.pcap", "v1/v1_two_subflows.tether.pcap"


@pytest.fixture(scope="module")
def connection() -> Connection:
    (found,) = read_trace([capture(name) for name in BOTH], Progress()).connections
    return found


@pytest.fixture(scope="module")
def drawn(connection: Connection) -> dict[Product, Plot]:
    """Of what the client sent, and the events."""
    made = plots(connection, tuple(Product), Interval(nanoseconds=100_000_000))
    return {plot.product: plot for plot in made if plot.direction is not Direction.S2C}


def test_every_product_has_something_to_show(drawn: dict[Product, Plot]) -> None:
    assert set(drawn) == set(Product)
    assert all(len(series) for plot in drawn.values() for series in plot.series)


def test_segments_of_a_subflow_are_what_it_carried(connection: Connection, drawn: dict[Product, Plot]) -> None:
    for subflow in connection.subflows:
        lengths = [
            int((series.top - series.y).sum())
            for series in drawn[Product.SEQUENCE].series
            if series.top is not None and series.subflow == subflow.id
        ]
        assert sum(lengths) == subflow.mapped.c2s


def test_acks_add_up_to_what_was_acknowledged(connection: Connection, drawn: dict[Product, Plot]) -> None:
    total = sum(int(series.y.sum()) for series in drawn[Product.ACK_SIZE].series)
    assert total == connection.bytes.c2s == 1_500_000


def test_the_mean_ends_at_the_mean(connection: Connection, drawn: dict[Product, Plot]) -> None:
    (mean,) = (series for series in drawn[Product.GOODPUT].series if series.role is Role.MEAN)
    assert mean.y[-1] * 1e6 == pytest.approx(connection.goodput(Direction.C2S), rel=0.01)


def test_nothing_is_on_its_way_at_the_end(drawn: dict[Product, Plot]) -> None:
    for series in (*drawn[Product.FLIGHT].series, *drawn[Product.SUBFLOW_FLIGHT].series):
        assert series.y.min() >= 0
        assert series.role is Role.WINDOW or series.y[-1] == 0


def test_data_stay_within_the_right_edge(drawn: dict[Product, Plot]) -> None:
    ends = {series.name: int(series.y[-1]) for series in drawn[Product.RIGHT_EDGE].series}
    assert ends["acknowledged"] == ends["highest sent"] <= ends["right edge"]
