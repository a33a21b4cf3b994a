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
    kept = np.unique(np.concatenate([_ends(number), _extremes(number, series)]))
    return replace(
        series,
        x=series.x[kept],
        y=_pick(series.y, kept),
        top=None if series.top is None else _pick(series.top, kept),
        labels=tuple(series.labels[at] for at in kept) if series.labels else (),
    )


def _ends(number: Int64) -> Int64:
    """Indices of the first and the last value of each interval; `number` says which each value is in, and ascends."""
    changes = np.flatnonzero(np.diff(number))
    return np.concatenate([[0], changes + 1, changes, [len(number) - 1]])


def _extremes(number: Int64, series: Series) -> Int64:
    lowest = np.lexsort((series.y, number))
    highest = np.lexsort((series.y if series.top is None else series.top, number))
    changes = np.flatnonzero(np.diff(number))
    return np.concatenate([lowest[np.concatenate([[0], changes + 1])], highest[np.append(changes, len(number) - 1)]])


def _pick(values: Values, kept: Int64) -> Values:
    picked: Values = values[kept]
    return picked
