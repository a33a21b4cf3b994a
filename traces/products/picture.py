"""Plots as PNG and SVG, drawn by Matplotlib without a screen and without its global state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from traces.products.plot import NANOSECONDS, Int64, Plot, Role, Series, Shape
from traces.products.style import GRID, LOOKS, SUBFLOWS, TEXT, arranged, colour
from traces.products.thinning import thinned

VALUES = 20_000
"""Of each series: more do not show in a picture of this size."""
INCHES = (11.0, 6.2)
SETTINGS: dict[Any, Any] = {
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "mpsocks",
}


def draw(plot: Plot, file: BinaryIO, form: str) -> None:
    """Write the picture, as `png` or `svg`. The same plot makes the same file."""
    few = thinned(arranged(plot), VALUES)
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=INCHES, dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for series in few.plot.series:
            _DRAWN[series.shape](axes, series, _horizontal(plot, series.x))
        _furnish(axes, plot, few.note)
        figure.savefig(file, format=form, metadata={"Date": None} if form == "svg" else {"Software": None})


def _horizontal(plot: Plot, x: Int64) -> np.ndarray:
    return (x - plot.start) / NANOSECONDS if plot.over_time else x.astype(np.float64)


def _segments(axes: Axes, series: Series, x: np.ndarray) -> None:
    tops = series.y if series.top is None else series.top
    ends = np.stack([np.stack([x, series.y], axis=1), np.stack([x, tops], axis=1)], axis=1)
    lines = LineCollection(list(ends), colors=colour(series), linewidths=1.6, capstyle="round", gid=series.name)
    axes.add_collection(lines)
    if series.role is not Role.DATA:
        _marks(axes, series, x, tops)


def _points(axes: Axes, series: Series, x: np.ndarray) -> None:
    _marks(axes, series, x, series.y)


def _marks(axes: Axes, series: Series, x: np.ndarray, y: np.ndarray) -> None:
    axes.plot(x, y, linestyle="none", gid=series.name, **_mark(series.role, colour(series)))


def _mark(role: Role, ink: str) -> dict[str, Any]:
    look, is_hollow = LOOKS[role], role is Role.DATA_ACK
    return {
        "marker": look.mark, "markersize": 3 if is_hollow else 5, "markerfacecolor": "none" if is_hollow else ink,
        "markeredgecolor": TEXT if look.is_outlined else ink, "markeredgewidth": 0.4 if look.is_outlined else 0.8,
    }  # fmt: skip


def _line(axes: Axes, series: Series, x: np.ndarray) -> None:
    axes.plot(
        x, series.y, color=colour(series), linestyle="--" if LOOKS[series.role].dash else "-", linewidth=1.3,
        drawstyle="steps-post" if series.shape is Shape.STEPS else "default", label=series.name, gid=series.name,
        marker="." if len(series) == 1 else "",  # a line through one value does not show
    )  # fmt: skip


_DRAWN = {Shape.POINTS: _points, Shape.SEGMENTS: _segments, Shape.STEPS: _line, Shape.LINE: _line}


def _furnish(axes: Axes, plot: Plot, note: str) -> None:
    """Title, axes, moments, legend."""
    axes.set_title(plot.title + (f"\n{note}" if note else ""), loc="left", fontsize=11)
    axes.set_xlabel("time since the start (s)" if plot.over_time else plot.x.title)
    axes.set_ylabel("" if plot.y.lanes else plot.y.title)
    axes.autoscale_view()
    if plot.y.lanes:
        axes.set_yticks(range(len(plot.y.lanes)), plot.y.lanes)
        axes.set_ylim(-0.5, len(plot.y.lanes) - 0.5)
    else:
        axes.set_ylim(bottom=0)
    if plot.y.large and not plot.y.lanes:
        axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
    if not plot.over_time:
        axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for moment in plot.moments:
        time = (moment.time - plot.start) / NANOSECONDS
        axes.axvline(time, color=TEXT, linestyle=":", linewidth=0.8)
        axes.text(time, 0.99, moment.kind, transform=axes.get_xaxis_transform(), rotation=90, va="top", fontsize=7)
    axes.legend(
        handles=list(_legend(axes, plot)), loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8
    )


def _legend(axes: Axes, plot: Plot) -> Iterator[Artist]:
    """Each subflow once and each mark once, and whatever belongs to no subflow: many subflows leave room for a plot."""
    of_subflows = [series for series in plot.series if series.subflow is not None]
    for number in sorted({series.subflow for series in of_subflows if series.subflow is not None}):
        yield Line2D([], [], color=SUBFLOWS[number % len(SUBFLOWS)], linewidth=4, label=f"subflow {number}")
    roles = {series.role for series in of_subflows}
    if len(roles) > 1:
        yield from (Line2D([], [], linestyle="none", label=role, **_mark(role, TEXT)) for role in Role if role in roles)
    whole = {series.name for series in plot.series if series.subflow is None}
    yield from (line for line in axes.lines if line.get_label() in whole)
