"""Files for xplot.org, letter by letter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.traces.products.simulation import at
from tests.traces.products.tiny import tiny_plot
from traces.products import numbers
from traces.products.plot import Plot, Product
from traces.products.xplot import xpl

SEQUENCE = """\
timeval unsigned
title
connection 0, server to client: sequence
xlabel
time: subflow 0 yellow, subflow 1 magenta, T retransmitted, R reinjected
ylabel
position (octets)
yellow
line 1700000000.000250 0 1700000000.000250 100
magenta
line 1700000000.001000 100 1700000000.001000 150
line 1700000000.004000 150 1700000000.004000 170
yellow
line 1700000000.003000 0 1700000000.003000 100
atext 1700000000.003000 100 red
T
yellow
line 1700000000.002000 100 1700000000.002000 150
atext 1700000000.002000 150 red
R
yellow
diamond 1700000000.010000 100
magenta
diamond 1700000000.011500 170
uarrow 1700000000.001000 0 red
rtext 1700000000.001000 8 red
 ADD_ADDR from the server: id 2, 192.0.2.1
go
"""
RTT = """\
dtime double
title
connection 0, server to client: round trip time by TCP acknowledgements
xlabel
relative time: subflow 0 yellow
ylabel
round trip time (ms)
yellow
dot 0.010000 9.750000
uarrow 0.001000 0 red
rtext 0.001000 0 red
 ADD_ADDR from the server: id 2, 192.0.2.1
go
"""
EVENTS = """\
timeval unsigned
title
connection 0: events
xlabel
time: subflow 0 yellow
ylabel
event
yellow
box 1700000000.001000 0
rtext 1700000000.001000 0
 ADD_ADDR from the server: id 2, 192.0.2.1
box 1700000000.012000 1
rtext 1700000000.012000 1
 DATA_FIN from the server
go
"""


def text(plot: Plot, *, relative: bool = False) -> str:
    return "".join(xpl(plot, relative=relative))


@pytest.mark.parametrize(
    ("product", "relative", "golden"),
    [
        (Product.SEQUENCE, False, SEQUENCE),
        (Product.RTT, True, RTT),
        (Product.EVENTS, False, EVENTS),
    ],
)
def test_it_is_as_xplot_org_wants_it(product: Product, relative: bool, golden: str) -> None:
    assert text(tiny_plot(product), relative=relative) == golden


def test_steps_go_across_and_then_up() -> None:
    drawn = text(tiny_plot(Product.RIGHT_EDGE), relative=True)
    assert "line 0.010000 1100 0.011500 1100\nline 0.011500 1100 0.011500 1170\n" in drawn


def test_positions_by_which_data_are_placed_are_no_times() -> None:
    assert text(tiny_plot(Product.DATA_RTT_SEQUENCE)).startswith("double double\ntitle\n")


def test_positions_that_32_bits_do_not_hold_are_double() -> None:
    plot = tiny_plot(Product.ACK_SIZE)
    large = tuple(replace(series, y=series.y + (1 << 32)) for series in plot.series)
    assert text(replace(plot, series=large)).startswith("timeval double\n")


def test_what_happened_before_the_start_has_a_negative_time() -> None:
    plot = tiny_plot(Product.RTT)
    early = tuple(replace(series, x=np.array([at(-1.5)])) for series in plot.series)
    assert "dot -0.001500 9.750000" in text(replace(plot, series=early), relative=True)


def test_what_belongs_to_no_subflow_is_told_apart_by_its_colour() -> None:
    lines = text(tiny_plot(Product.FLIGHT)).splitlines()
    assert lines[4] == "time: window yellow, flight white, sum of the subflows' TCP flights orange"
    assert [line for line in lines if line in ("yellow", "white", "orange")] == ["yellow", "white", "orange"]


@pytest.mark.parametrize("product", [Product.SEQUENCE, Product.FLIGHT, Product.GOODPUT, Product.EVENTS])
def test_piece_by_piece_it_is_the_same(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    plot = replace(tiny_plot(product))
    whole = text(plot)
    monkeypatch.setattr(numbers, "PIECE", 1)
    assert text(plot) == whole


def test_no_text_can_break_out_of_its_line() -> None:
    plot = replace(tiny_plot(Product.EVENTS), title="odd\nline 0 0 1 1\r\x1b[31m")
    assert text(plot).splitlines()[2] == "odd line 0 0 1 1  [31m"
