"""Columns that grow at their end and are never there twice: a capture may be as large as memory allows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SPARE = 8
"""One part in so many is left free at the end, for what comes next."""


class Growing:
    """One column. Its octets are moved by the kernel's page tables, not copied (realloc), once it is large."""

    def __init__(self, kind: type[np.generic]) -> None:
        self._kind = kind
        self._array: NDArray[Any] | None = None
        """None while all values are zeros, as those of many columns always are: they take no memory."""
        self._size = 0

    def append(self, values: NDArray[Any]) -> None:
        begin, end = self._size, self._size + len(values)
        self._size = end
        if self._array is None:
            if not values.any():
                return
            self._array = np.zeros(end, self._kind)
        if end > len(self._array):
            self._array.resize(end + end // SPARE, refcheck=False)
        self._array[begin:end] = values

    def whole(self) -> NDArray[Any]:
        """All values; one must not append after that."""
        if self._array is None:
            return np.broadcast_to(np.zeros(1, self._kind), self._size)
        self._array.resize(self._size, refcheck=False)
        return self._array
