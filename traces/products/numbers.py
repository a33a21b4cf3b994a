"""Numbers as text, many at once."""

from __future__ import annotations

import numpy as np

from traces.products.plot import NANOSECONDS, Int64, Values


def seconds_text(nanoseconds: Int64, *, digits: int) -> list[str]:
    """Seconds with so many decimal places, cut off behind them; never by way of a float, which could not hold them."""
    whole, rest = np.divmod(np.abs(nanoseconds), NANOSECONDS)
    rest //= 10 ** (9 - digits)
    texts = [f"{one}.{other:0{digits}d}" for one, other in zip(whole.tolist(), rest.tolist(), strict=True)]
    if (nanoseconds < 0).any():
        return [f"-{text}" if early else text for text, early in zip(texts, nanoseconds < 0, strict=True)]
    return texts


def numbers_text(values: Values, form: str) -> list[str]:
    """Whole numbers as they are, others in the format `form`."""
    return list(map(str if values.dtype.kind == "i" else f"{{:{form}}}".format, values.tolist()))
