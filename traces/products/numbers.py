"""Numbers as text, many at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from traces.products.plot import NANOSECONDS, Int64, Series, Values

PIECE = 1 << 15
"""Values of a series that are text at the same time."""


def pieces(series: Series, *, overlap: int = 0) -> Iterator[Series]:
    """The series a piece at a time, so that its text takes little memory, however long it is.

    Each piece begins with the last `overlap` values of the one before.
    """
    for begin in range(0, max(len(series) - overlap, 1), PIECE):
        part = slice(begin, begin + PIECE + overlap)
        top = None if series.top is None else series.top[part]
        yield replace(series, x=series.x[part], y=series.y[part], top=top, labels=series.labels[part])


def seconds_text(nanoseconds: Int64, *, digits: int) -> list[str]:
    """Seconds with so many decimal places, cut off behind them; never by way of a float, which could not hold them."""
    if (nanoseconds < NANOSECONDS).any():
        whole, rest = np.divmod(np.abs(nanoseconds), NANOSECONDS)
        parts = zip(nanoseconds.tolist(), whole.tolist(), (rest // 10 ** (9 - digits)).tolist(), strict=True)
        return [f"{'-' * (all_ < 0)}{seconds}.{fraction:0{digits}d}" for all_, seconds, fraction in parts]
    # Nearly twice as fast, where no zeros are to be put before the point.
    texts = map(str, (nanoseconds // 10 ** (9 - digits)).tolist())
    return [f"{text[:-digits]}.{text[-digits:]}" for text in texts]


def numbers_text(values: Values, form: str) -> list[str]:
    """Whole numbers as they are, others in the format `form`."""
    return list(map(str if values.dtype.kind == "i" else f"{{:{form}}}".format, values.tolist()))
