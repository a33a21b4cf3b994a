"""Plots and tables as CSV (RFC 4180, but with lines that end in a line feed)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import TextIO

from traces.products.plot import Int64, Plot, Series, Shape, Values, seconds_text
from traces.products.tables import Table

FORMULAS = ("=", "+", "-", "@")
"""How text begins that spreadsheets would compute."""


def write_plot(plot: Plot, file: TextIO, *, relative: bool) -> None:
    """A line for each value: x, series, subflow, y, and where segments end or points are named, that too."""
    ranged = any(series.shape is Shape.SEGMENTS for series in plot.series)
    named = any(series.labels for series in plot.series)
    columns = [plot.x.column, "series", "subflow", plot.y.column]
    columns += [f"{plot.y.column}_to"] if ranged else []
    columns += ["label"] if named else []
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    zero = plot.start if relative else 0
    for series in plot.series:
        writer.writerows(_rows(plot, series, zero, ranged=ranged, named=named))


def _rows(plot: Plot, series: Series, zero: int, *, ranged: bool, named: bool) -> Iterable[tuple[str, ...]]:
    size = len(series)
    x = _seconds(series.x - zero) if plot.over_time else _text(series.x)
    subflow = "" if series.subflow is None else str(series.subflow)
    lanes = plot.y.lanes
    # What belongs to a subflow has its number in a column of its own.
    name = series.name if series.subflow is None else series.role
    columns = [x, [name] * size, [subflow] * size]
    columns.append([lanes[int(lane)] for lane in series.y] if lanes else _text(series.y))
    if ranged:
        columns.append([""] * size if series.top is None else _text(series.top))
    if named:
        columns.append([_plain(label) for label in series.labels] or [""] * size)
    return zip(*columns, strict=True)


def write_table(table: Table, file: TextIO) -> None:
    """The table as it is, its columns' names first."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(_cells(table))


def _cells(table: Table) -> Iterator[list[str]]:
    for row in table.rows:
        yield [_plain(cell) if isinstance(cell, str) else "" if cell is None else str(cell) for cell in row]


def _seconds(nanoseconds: Int64) -> list[str]:
    return [seconds_text(value, digits=9) for value in nanoseconds.tolist()]


def _text(values: Values) -> list[str]:
    return [str(value) if isinstance(value, int) else f"{value:.9g}" for value in values.tolist()]


def _plain(text: str) -> str:
    """An apostrophe keeps spreadsheets from taking names of interfaces for formulas."""
    return f"'{text}" if text.startswith(FORMULAS) else text
