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
    file.write(",".join(columns) + "\n")
    zero = plot.start if relative else 0
    for series in plot.series:
        for piece in pieces(series):
            file.write("".join(_lines(plot, piece, zero, ranged=ranged, named=named)))


def _lines(plot: Plot, series: Series, zero: int, *, ranged: bool, named: bool) -> Iterable[str]:
    x = seconds_text(series.x - zero, digits=9) if plot.over_time else numbers_text(series.x, DIGITS)
    # What belongs to a subflow has its number in a column of its own.
    name = f"{_cell(series.name)}," if series.subflow is None else f"{_cell(series.role)},{series.subflow}"
    lanes = [_cell(lane) for lane in plot.y.lanes]
    columns = [[lanes[int(lane)] for lane in series.y] if lanes else numbers_text(series.y, DIGITS)]
    if ranged:
        columns.append([""] * len(series) if series.top is None else numbers_text(series.top, DIGITS))
    if named:
        columns.append([_cell(label) for label in series.labels] or [""] * len(series))
    # Not by the csv module, which takes three times as long for millions of numbers.
    if len(columns) == 1:
        return [f"{at},{name},{value}\n" for at, value in zip(x, columns[0], strict=True)]
    return [f"{at},{name},{','.join(values)}\n" for at, *values in zip(x, *columns, strict=True)]


def _cell(text: str) -> str:
    """Text as RFC 4180 section 2 has it."""
    text = _plain(text)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n\r') else text


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
