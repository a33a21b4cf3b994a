"""Files: their names, their mode, and what becomes of those that were there."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invoke.config import Config
from invoke.context import Context

from lab.context import Lab
from lab.errors import MpsocksError
from lab.runner import Runner
from tests.conftest import lab_on
from tests.traces.products.simulation import C2S, connection, trace, transfer
from tests.traces.products.tiny import tiny
from traces.mptcp.model import MapKind
from traces.products.csv_files import write_plot
from traces.products.goodput import Interval
from traces.products.plot import Product
from traces.products.products import plots
from traces.products.report import report
from traces.products.thinning import thinned
from traces.products.wanted import Format, Wanted
from traces.products.write import write_products
from traces.products.xplot import xpl


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return lab_on(Runner(Context()), tmp_path)


@pytest.fixture
def open_to_the_group() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_names_say_connection_direction_and_product(lab: Lab, tmp_path: Path) -> None:
    both_ways = [(0.0, 0, C2S, 0, 10, MapKind.NEW), *((time, 0, 1, 0, 10, MapKind.NEW) for time in (1.0, 2.0))]
    made = trace(connection(both_ways), tiny(id=1))  # type: ignore[arg-type]
    wanted = Wanted(tmp_path / "plots", (Product.SEQUENCE, Product.EVENTS), (Format.XPL, Format.SVG))
    written = write_products(lab, made, wanted)
    assert names(wanted.folder) == [
        "connection0-c2s-seq.svg",
        "connection0-c2s-seq.xpl",
        "connection0-s2c-seq.svg",
        "connection0-s2c-seq.xpl",
        "connection1-events.svg",
        "connection1-events.xpl",
        "connection1-s2c-seq.svg",
        "connection1-s2c-seq.xpl",
    ]
    assert sorted(path.name for path in written.paths) == names(wanted.folder)
    assert list(written.lines()) == [f"4 svg files: {wanted.folder}/*.svg", f"4 xpl files: {wanted.folder}/*.xpl"]


def test_csv_has_the_tables_too(lab: Lab, tmp_path: Path) -> None:
    write_products(lab, trace(tiny()), Wanted(tmp_path / "plots", (Product.RTT,), (Format.CSV,)))
    assert names(tmp_path / "plots") == [
        "connection0-s2c-rtt.csv", "connections.csv", "events.csv", "subflows.csv", "tcp-connections.csv",
    ]  # fmt: skip


def test_files_have_the_mode_that_the_umask_leaves(lab: Lab, tmp_path: Path, open_to_the_group: None) -> None:
    write_products(lab, trace(tiny()), Wanted(tmp_path / "plots", (Product.EVENTS,), tuple(Format)))
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "plots").iterdir()} == {0o640}


def test_what_else_is_in_the_folder_stays(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "plots"
    folder.mkdir()
    (folder / "thesis.txt").write_text("dear")
    for connections in (trace(tiny()), trace(transfer(10))):
        write_products(lab, connections, Wanted(folder, (Product.RTT,), (Format.CSV,), replace=True))
    assert (folder / "thesis.txt").read_text() == "dear"
    assert len((folder / "connection0-s2c-rtt.csv").read_text().splitlines()) == 11


def test_only_connections_that_are_wanted_are_written(lab: Lab, tmp_path: Path) -> None:
    made = trace(tiny(), tiny(id=1), tiny(id=2))
    write_products(lab, made, Wanted(tmp_path / "plots", (Product.RTT,), (Format.XPL,), connections=(1,)))
    assert names(tmp_path / "plots") == ["connection1-s2c-rtt.xpl"]


def test_a_folder_that_cannot_be_made_is_said(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MpsocksError, match="cannot write") as told:
        write_products(lab, trace(tiny()), Wanted(tmp_path / "file" / "plots"))
    assert "--out" in told.value.hint


def test_a_dry_run_only_says_what_it_would_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dry = lab_on(Runner(Context(Config(overrides={"run": {"dry": True}}))), tmp_path)
    written = write_products(dry, trace(tiny()), Wanted(tmp_path / "plots"))
    assert written.as_json() == {"files": []}
    assert capsys.readouterr().out == f"# would write html of 1 connections to {tmp_path}/plots\n"
    assert not (tmp_path / "plots").exists()


def test_nothing_wanted_is_nothing_written(lab: Lab) -> None:
    assert write_products(lab, trace(tiny()), None).paths == ()


PIECES = st.tuples(st.floats(0, 5), st.integers(0, 1), st.sampled_from([0, 1]), st.integers(-5, 1 << 40))
MAPS = st.lists(st.tuples(PIECES, st.integers(0, 1 << 33), st.sampled_from(MapKind)), max_size=8)
ACKS = st.lists(st.tuples(PIECES, st.integers(-1, 1 << 30)), max_size=8)
SAMPLES = st.lists(st.tuples(PIECES, st.floats(0, 1e4)), max_size=4)


@pytest.mark.slow
@given(MAPS, ACKS, SAMPLES, st.booleans())
def test_whatever_a_connection_holds_it_can_be_written(
    maps: list[Any], acks: list[Any], samples: list[Any], relative: bool
) -> None:
    """Odd times, positions, windows and sizes: damaged captures have them."""
    by_time = [sorted(rows) for rows in (maps, acks, samples)]
    made = connection(
        [(*piece, length, kind) for piece, length, kind in by_time[0]],
        [(*piece, window) for piece, window in by_time[1]],
        [(time, flow, way, seconds) for (time, flow, way, _), seconds in by_time[2]],
    )
    for plot in plots(made, tuple(Product), Interval(nanoseconds=1_000_000)):
        for series in thinned(plot, 4).plot.series:
            assert len(series) <= 4
        assert list(xpl(plot, relative=relative))[-1] == "go\n"
        write_plot(plot, io.StringIO(), relative=relative)
    assert "</html>" in report(trace(made), [made], Wanted(Path("plots")))
