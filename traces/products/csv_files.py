"""Plots and tables as CSV (RFC 4180, but with lines that end in a line feed)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import TextIO

from lab.telling import harmless
from traces.products.numbers import numbers_text, pieces, seconds_text
from traces.products.plot import Plot, Series, Shape
from traces.products.tables import Table

DIGITS = ".9g"
FORMULAS = ("=", "+", "-", "@")
"""How text begins that spreadsheets would compute."""


def write_plot(plot: Plot, file: TextIO, *, relative: bool) -> None:
    """A line for each value: x, series, subflow, y, and where segments end or points are named, that too.

    They are all there, and written piece by piece.
    """
    ranged = any(series.shape is Shape.SEGMENTS for series in plot.series)
    named = any(series.labels for series in plot.series)
    columns = [plot.x.column, "series", "subflow", plot.y.column]
    columns += [f"{plot.y.column}_to"] if ranged else []
    columns += ["label"] if named else []
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    zero = plot.start if relative else 0
    for series in plot.series:
        for piece in pieces(series):
            writer.writerows(_rows(plot, piece, zero, ranged=ranged, named=named))


def _rows(plot: Plot, series: Series, zero: int, *, ranged: bool, named: bool) -> Iterable[tuple[str, ...]]:
    size = len(series)
    x = seconds_text(series.x - zero, digits=9) if plot.over_time else numbers_text(series.x, DIGITS)
    subflow = "" if series.subflow is None else str(series.subflow)
    lanes = plot.y.lanes
    # What belongs to a subflow has its number in a column of its own.
    name = series.name if series.subflow is None else series.role
    columns = [x, [name] * size, [subflow] * size]
    columns.append([lanes[int(lane)] for lane in series.y] if lanes else numbers_text(series.y, DIGITS))
    if ranged:
        columns.append([""] * size if series.top is None else numbers_text(series.top, DIGITS))
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


def _plain(text: str) -> str:
    """An apostrophe keeps spreadsheets from taking names of interfaces for formulas."""
    text = harmless(text)
    return f"'{text}" if text.startswith(FORMULAS) else text
