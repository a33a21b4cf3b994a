"""CSV, letter by letter, and as spreadsheets take it."""

from __future__ import annotations

import csv
import io

import pytest

from lab.telling import harmless
from tests.traces.products.simulation import connection, event, subflow, transfer
from tests.traces.products.tiny import tiny, tiny_plot
from traces.mptcp.model import EventKind
from traces.products import tables
from traces.products.csv_files import write_plot, write_table
from traces.products.plot import Plot, Product
from traces.products.products import plots

SEQUENCE = """\
time_s,series,subflow,octets,octets_to
1700000000.000250000,data,0,0,100
1700000000.001000000,data,1,100,150
1700000000.004000000,data,1,150,170
1700000000.003000000,retransmitted,0,0,100
1700000000.002000000,reinjected,0,100,150
1700000000.010000000,data ack,0,100,
1700000000.011500000,data ack,1,170,
"""
RTT = """\
time_s,series,subflow,rtt_ms
0.010000000,RTT,0,9.75
"""
EVENTS = """\
time_s,series,subflow,event,label
1700000000.001000000,event,0,ADD_ADDR,"ADD_ADDR from the server: id 2, 192.0.2.1"
1700000000.012000000,event,0,DATA_FIN,DATA_FIN from the server
"""


def text(plot: Plot, *, relative: bool = False) -> str:
    file = io.StringIO()
    write_plot(plot, file, relative=relative)
    return file.getvalue()


@pytest.mark.parametrize(
    ("product", "relative", "golden"),
    [
        (Product.SEQUENCE, False, SEQUENCE),
        (Product.RTT, True, RTT),
        (Product.EVENTS, False, EVENTS),
    ],
)
def test_a_plot_is_a_line_for_each_value(product: Product, relative: bool, golden: str) -> None:
    assert text(tiny_plot(product), relative=relative) == golden


@pytest.mark.parametrize("detail", ['one "two", three', "=1+1", "\x1b[31m\n"])
def test_whatever_a_label_has_in_it_csv_readers_find_the_same(detail: str) -> None:
    (plot,) = plots(connection(events=[event(1, EventKind.MP_PRIO, detail=detail)]), [Product.EVENTS], None)
    _, row = csv.reader(io.StringIO(text(plot)))
    assert row[-1] == f"MP_PRIO from the server: {harmless(detail)}"


def test_what_belongs_to_no_subflow_goes_by_its_name() -> None:
    rows = list(csv.reader(io.StringIO(text(tiny_plot(Product.RIGHT_EDGE)))))
    assert {(row[1], row[2]) for row in rows[1:]} == {("right edge", ""), ("highest sent", ""), ("acknowledged", "")}


def test_tables_have_a_row_for_each_thing() -> None:
    made = [tiny(), transfer(20, number=1, flows=3)]
    for table, rows in ((tables.connections(made), 2), (tables.subflows(made), 5), (tables.events(made), 5)):
        file = io.StringIO()
        write_table(table, file)
        read = list(csv.DictReader(io.StringIO(file.getvalue())))
        assert len(read) == rows
        assert {row["connection"] for row in read} == {"0", "1"}


def test_a_name_is_no_formula() -> None:
    file = io.StringIO()
    write_table(tables.subflows([tiny(subflows=[subflow(0, interfaces=('=cmd|" /c calc"!A1',))])]), file)
    (row,) = csv.DictReader(io.StringIO(file.getvalue()))
    assert row["interfaces"] == '\'=cmd|" /c calc"!A1'


def test_what_is_unknown_is_empty() -> None:
    file = io.StringIO()
    write_table(tables.subflows([tiny(subflows=[subflow(0, handshake_seconds=None, remote_id=None)])]), file)
    (row,) = csv.DictReader(io.StringIO(file.getvalue()))
    assert (row["handshake_ms"], row["remote_id"], row["rtt_c2s_ms"], row["rtt_s2c_ms"]) == ("", "", "20.0", "")
