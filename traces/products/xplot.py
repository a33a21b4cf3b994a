"""Plots as files for xplot.org, in the form that tcptrace gives its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from traces.products.numbers import numbers_text, seconds_text
from traces.products.plot import Int64, Plot, Role, Series, Shape

SUBFLOWS = ("yellow", "magenta", "green", "orange", "pink", "purple", "blue")
"""On xplot.org's black ground; white is what belongs to no subflow."""
WHOLE = "white"
COLOURS = {Role.WINDOW: "yellow", Role.SUBFLOW_SUM: "orange", Role.MEAN: "orange", Role.DATA_ACK: "green"}
POINTS = {Role.DATA_ACK: "diamond", Role.RTT: "dot", Role.EVENT: "box"}
LETTERS = {Role.REINJECTED: "R", Role.RETRANSMITTED: "T", Role.REINJECTED_SAME: "S"}
"""Stand above segments that carry data again."""
DIGITS = ".6f"
LARGEST_UNSIGNED = (1 << 32) - 1
"""xplot.org's `unsigned` has 32 bits; what is larger, or no whole number, is `double`."""


def xpl(plot: Plot, *, relative: bool) -> Iterator[str]:
    """The lines of the file. Times are `timeval` (since 1970), or with `relative` `dtime` (since the start)."""
    kind, label = ("dtime", "relative time") if relative else ("timeval", "time")
    if not plot.over_time:
        kind, label = "double", plot.x.title
    yield f"{kind} {_kind(plot)}"
    yield from ("title", _line(plot.title))
    yield from ("xlabel", label)
    yield from ("ylabel", _line(plot.y.title))
    zero = plot.start if relative else 0
    for series in plot.series:
        yield WHOLE if series.subflow is None else SUBFLOWS[series.subflow % len(SUBFLOWS)]
        x = _times(series.x - zero) if plot.over_time else numbers_text(series.x, DIGITS)
        yield from _DRAWN[series.shape](series, x, numbers_text(series.y, DIGITS))
    for moment in plot.moments:
        (time,) = _times(np.array([moment.time - zero]))
        yield from (f"btext {time} 0 red", _line(moment.text))
    yield "go"


def _kind(plot: Plot) -> str:
    values = [column for series in plot.series for column in (series.y, series.top) if column is not None]
    whole = all(column.dtype.kind == "i" for column in values)
    return "unsigned" if whole and all(v.min() >= 0 and v.max() <= LARGEST_UNSIGNED for v in values) else "double"


def _points(series: Series, x: list[str], y: list[str]) -> Iterator[str]:
    command = POINTS.get(series.role, "dot")
    for at, (time, value) in enumerate(zip(x, y, strict=True)):
        yield f"{command} {time} {value}"
        if series.labels:
            yield from (f"rtext {time} {value}", _line(series.labels[at]))


def _segments(series: Series, x: list[str], y: list[str]) -> Iterator[str]:
    letter = LETTERS.get(series.role)
    tops = numbers_text(series.y if series.top is None else series.top, DIGITS)
    for time, low, high in zip(x, y, tops, strict=True):
        yield f"line {time} {low} {time} {high}"
        if letter:
            yield from (f"atext {time} {high}", letter)


def _steps(_series: Series, x: list[str], y: list[str]) -> Iterator[str]:
    for at in range(1, len(x)):
        yield f"line {x[at - 1]} {y[at - 1]} {x[at]} {y[at - 1]}"
        yield f"line {x[at]} {y[at - 1]} {x[at]} {y[at]}"


def _joined(_series: Series, x: list[str], y: list[str]) -> Iterator[str]:
    for at in range(1, len(x)):
        yield f"line {x[at - 1]} {y[at - 1]} {x[at]} {y[at]}"


_DRAWN = {Shape.POINTS: _points, Shape.SEGMENTS: _segments, Shape.STEPS: _steps, Shape.LINE: _joined}


def _times(nanoseconds: Int64) -> list[str]:
    """With microseconds: xplot.org takes no more."""
    return seconds_text(nanoseconds, digits=6)


def _line(text: str) -> str:
    """Text is a line of its own: nothing in it may end the line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
