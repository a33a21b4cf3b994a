"""Plots as files for xplot.org, in the form that tcptrace gives its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from traces.products.numbers import numbers_text, pieces, seconds_text
from traces.products.plot import Int64, Plot, Role, Series, Shape

SUBFLOWS = ("yellow", "magenta", "green", "orange", "pink", "purple", "blue")
"""On xplot.org's black ground. It knows no more colours but white, for what belongs to no subflow, and red."""
COLOURS = {Role.WINDOW: "yellow", Role.SUBFLOW_SUM: "orange", Role.MEAN: "orange", Role.DATA_ACK: "green"}
"""Of what belongs to no subflow; the others are white."""
WHOLE, MARKS = "white", "red"
POINTS = {Role.DATA_ACK: "diamond", Role.RTT: "dot", Role.EVENT: "box"}
LETTERS = {Role.REINJECTED: "R", Role.RETRANSMITTED: "T", Role.REINJECTED_SAME: "S"}
"""Stand above segments that carry data again."""
TEXT_AT = 20
"""The part of a plot's height at which moments are named."""
DIGITS = ".6f"
LARGEST_UNSIGNED = (1 << 32) - 1
"""xplot.org's `unsigned` has 32 bits; what is larger, or no whole number, is `double`."""


def xpl(plot: Plot, *, relative: bool) -> Iterator[str]:
    """The file piece by piece, with every value of the plot.

    Times are `timeval` (since 1970), or with `relative` `dtime` (since the start).
    """
    kind, label = ("dtime", "relative time") if relative else ("timeval", "time")
    if not plot.over_time:
        kind, label = "double", plot.x.title
    yield f"{kind} {_kind(plot)}\n"
    yield f"title\n{_line(plot.title)}\n"
    yield f"xlabel\n{label}: {_legend(plot)}\n"
    yield f"ylabel\n{_line(plot.y.title)}\n"
    zero = plot.start if relative else 0
    for series in plot.series:
        yield f"{_colour(series)}\n"
        for piece in pieces(series, overlap=_OVERLAPS.get(series.shape, 0)):
            x = _times(piece.x - zero) if plot.over_time else numbers_text(piece.x, DIGITS)
            # A line through one value does not show.
            drawn = _DRAWN[series.shape] if len(series) > 1 or series.shape is Shape.SEGMENTS else _points
            yield "".join(drawn(piece, x, numbers_text(piece.y, DIGITS)))
    for moment in plot.moments:
        (time,) = _times(np.array([moment.time - zero]))
        # Over the axis: what is below it does not show.
        yield f"uarrow {time} 0 {MARKS}\nrtext {time} {_highest(plot) // TEXT_AT} {MARKS}\n {_line(moment.text)}\n"
    yield "go\n"


def _colour(series: Series) -> str:
    if series.subflow is None:
        return COLOURS.get(series.role, WHOLE)
    return SUBFLOWS[series.subflow % len(SUBFLOWS)]


def _legend(plot: Plot) -> str:
    """Which colour is what, and which letter: xplot.org has no legends."""
    colours = {f"subflow {s.subflow}" if s.subflow is not None else s.name: _colour(s) for s in plot.series}
    letters = {LETTERS[s.role]: s.role for s in plot.series if s.role in LETTERS}
    return ", ".join(
        [*(f"{name} {colour}" for name, colour in colours.items()), *(f"{one} {role}" for one, role in letters.items())]
    )


def _highest(plot: Plot) -> int:
    return max((int(column.max()) for s in plot.series for column in (s.y, s.top) if column is not None), default=0)


def _kind(plot: Plot) -> str:
    values = [column for series in plot.series for column in (series.y, series.top) if column is not None]
    whole = all(column.dtype.kind == "i" for column in values)
    return "unsigned" if whole and all(v.min() >= 0 and v.max() <= LARGEST_UNSIGNED for v in values) else "double"


def _points(series: Series, x: list[str], y: list[str]) -> Iterable[str]:
    command = POINTS.get(series.role, "dot")
    if not series.labels:
        return [f"{command} {time} {value}\n" for time, value in zip(x, y, strict=True)]
    named = zip(x, y, map(_line, series.labels), strict=True)
    return [f"{command} {time} {value}\nrtext {time} {value}\n {label}\n" for time, value, label in named]


def _segments(series: Series, x: list[str], y: list[str]) -> Iterable[str]:
    tops = numbers_text(series.y if series.top is None else series.top, DIGITS)
    ends = zip(x, y, tops, strict=True)
    if letter := LETTERS.get(series.role):
        return [f"line {time} {low} {time} {high}\natext {time} {high} {MARKS}\n{letter}\n" for time, low, high in ends]
    return [f"line {time} {low} {time} {high}\n" for time, low, high in ends]


def _steps(_series: Series, x: list[str], y: list[str]) -> Iterable[str]:
    return [
        f"line {one} {low} {other} {low}\nline {other} {low} {other} {high}\n"
        for one, other, low, high in zip(x, x[1:], y, y[1:], strict=False)
    ]


def _joined(_series: Series, x: list[str], y: list[str]) -> Iterable[str]:
    return [f"line {one} {low} {other} {high}\n" for one, other, low, high in zip(x, x[1:], y, y[1:], strict=False)]


_DRAWN = {Shape.POINTS: _points, Shape.SEGMENTS: _segments, Shape.STEPS: _steps, Shape.LINE: _joined}
_OVERLAPS = {Shape.STEPS: 1, Shape.LINE: 1}


def _times(nanoseconds: Int64) -> list[str]:
    """With microseconds: xplot.org takes no more."""
    return seconds_text(nanoseconds, digits=6)


def _line(text: str) -> str:
    """Text is a line of its own: nothing in it may end the line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
