"""The options of `invoke mptcptrace` that are about plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.errors import BadInputError
from tests.traces.products.simulation import connection, trace
from traces.products.goodput import Interval
from traces.products.plot import Product
from traces.products.wanted import Format, Wanted, read_wanted

NOTHING: dict[str, Any] = {
    "plot": "", "form": "", "connection": "", "interval": "", "points": "4000", "relative": False, "replace": False,
}  # fmt: skip


def test_nothing_is_written_where_no_folder_is_named() -> None:
    assert read_wanted("", **NOTHING) is None


@pytest.mark.parametrize("option", [{"plot": "seq"}, {"form": "csv"}, {"connection": "0"}, {"replace": True}])
def test_what_would_be_lost_without_a_folder_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match="no folder for the plots"):
        read_wanted("", **NOTHING | option)


def test_a_folder_alone_gets_a_report_with_everything(tmp_path: Path) -> None:
    assert read_wanted(str(tmp_path / "new"), **NOTHING) == Wanted(tmp_path / "new", tuple(Product), (Format.HTML,))


def test_lists_keep_their_order_and_name_each_once(tmp_path: Path) -> None:
    options = {"plot": "rtt, seq,rtt", "form": "xpl,png", "connection": "2,0", "interval": "20acks"}
    wanted = read_wanted(str(tmp_path), **NOTHING | options)
    assert wanted is not None
    assert wanted.products == (Product.RTT, Product.SEQUENCE)
    assert wanted.formats == (Format.XPL, Format.PNG)
    assert wanted.connections == (2, 0)
    assert wanted.interval == Interval(acks=20)


def test_a_folder_with_files_is_refused_unless_they_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(BadInputError, match="has files in it"):
        read_wanted(str(tmp_path), **NOTHING)
    assert read_wanted(str(tmp_path), **NOTHING | {"replace": True}) is not None


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "plots").touch()
    with pytest.raises(BadInputError, match="is no folder"):
        read_wanted(str(tmp_path / "plots"), **NOTHING | {"replace": True})


def test_a_connection_that_is_not_there_is_refused_with_those_that_are() -> None:
    both = trace(connection(id=0), connection(id=3))
    assert [one.id for one in Wanted(Path("plots"), connections=(3,)).chosen(both)] == [3]
    assert Wanted(Path("plots")).chosen(both) == both.connections
    with pytest.raises(BadInputError) as refused:
        Wanted(Path("plots"), connections=(1,)).chosen(both)
    assert refused.value.hint == "connections there are: 0, 3"
