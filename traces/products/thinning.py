"""Fewer values for what a person looks at, such that nothing that stands out is lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from traces.products.plot import Int64, Plot, Series, Values

KEPT_OF_A_BIN = 4
"""The first, the last, the lowest and the highest."""


@dataclass(frozen=True, slots=True)
class Thinned:
    """A plot with fewer values than it had."""

    plot: Plot
    shown: int
    total: int

    @property
    def note(self) -> str:
        """What a reader has to know; empty when nothing is left out."""
        if self.shown == self.total:
            return ""
        return f"{self.shown:,} of {self.total:,} values shown: the extremes of each short interval"


def thinned(plot: Plot, most: int) -> Thinned:
    """The plot with at most `most` values in each series."""
    series = tuple(thin(one, most) for one in plot.series)
    return Thinned(replace(plot, series=series), sum(map(len, series)), sum(map(len, plot.series)))


def thin(series: Series, most: int) -> Series:
    """The series with at most `most` values (4 at least): of each of equal intervals of x the first, the last, the
    lowest and the highest."""
    if len(series) <= most:
        return series
    bins = max(most // KEPT_OF_A_BIN, 1)
    first, last = int(series.x[0]), int(series.x[-1])
    number = ((series.x - first) / (last - first + 1) * bins).astype(np.int64)
    changes = np.flatnonzero(np.diff(number))
    starts, ends = np.append(0, changes + 1), np.append(changes, len(number) - 1)
    tops = series.y if series.top is None else series.top
    extremes = _where_first(series.y, np.minimum, starts), _where_first(tops, np.maximum, starts)
    kept = np.unique(np.concatenate([starts, ends, *extremes]))
    return replace(
        series,
        x=series.x[kept],
        y=_pick(series.y, kept),
        top=None if series.top is None else _pick(series.top, kept),
        labels=tuple(series.labels[at] for at in kept) if series.labels else (),
    )


def _where_first(values: Values, extreme: np.ufunc, starts: Int64) -> Int64:
    """Where each of the intervals that begin at `starts` has its lowest or highest value for the first time."""
    each = np.repeat(extreme.reduceat(values, starts), np.diff(starts, append=len(values)))
    there = np.flatnonzero(values == each)
    first: Int64 = there[np.searchsorted(there, starts)]
    return first


def _pick(values: Values, kept: Int64) -> Values:
    picked: Values = values[kept]
    return picked
