"""Plots as PNG and SVG, drawn by Matplotlib without a screen and without its global state."""

from __future__ import annotations

from typing import Any, BinaryIO

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from traces.products.plot import NANOSECONDS, Int64, Plot, Role, Series, Shape
from traces.products.style import GRID, LOOKS, TEXT, colour
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
    few = thinned(plot, VALUES)
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
    label = series.name if series.role is Role.DATA else None
    lines = LineCollection(
        list(ends), colors=colour(series), linewidths=1.6, capstyle="round", label=label, gid=series.name
    )
    axes.add_collection(lines)
    if series.role is not Role.DATA:
        _marks(axes, series, x, tops)


def _points(axes: Axes, series: Series, x: np.ndarray) -> None:
    _marks(axes, series, x, series.y)


def _marks(axes: Axes, series: Series, x: np.ndarray, y: np.ndarray) -> None:
    look = LOOKS[series.role]
    hollow = series.role is Role.DATA_ACK
    axes.plot(
        x, y, linestyle="none", marker=look.mark, markersize=3 if hollow else 6, markeredgecolor=colour(series),
        markerfacecolor="none" if hollow else colour(series), markeredgewidth=0.8, label=series.name, gid=series.name,
    )  # fmt: skip


def _line(axes: Axes, series: Series, x: np.ndarray) -> None:
    axes.plot(
        x, series.y, color=colour(series), linestyle="--" if LOOKS[series.role].dash else "-", linewidth=1.3,
        drawstyle="steps-post" if series.shape is Shape.STEPS else "default", label=series.name, gid=series.name,
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
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
