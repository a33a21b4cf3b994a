"""An endless, deterministic stream of octets that never repeats: `/bytes/N` are its first N."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from functools import lru_cache

BLOCK = 1 << 20
CACHED_BLOCKS = 128
MAX_OCTETS = 1 << 30
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def parse_count(text: str) -> int:
    """`20M` or `1048576` as a number of octets; ValueError when it is no such number or beyond `MAX_OCTETS`."""
    match = re.fullmatch(r"([0-9]{1,12})(|[kMG]|[KMG]i)", text)
    count = int(match[1]) * UNITS[match[2]] if match else -1
    if not 0 <= count <= MAX_OCTETS:
        raise ValueError(f"want 0 to {MAX_OCTETS} octets, with {' '.join(filter(None, UNITS))} as units if you like")
    return count


@lru_cache(maxsize=CACHED_BLOCKS)
def block(number: int) -> bytes:
    """Block `number` of the stream, `BLOCK` octets."""
    return hashlib.shake_128(b"mpsocks %d" % number).digest(BLOCK)


def pieces(start: int, stop: int) -> Iterator[memoryview]:
    """The octets from `start` up to, not including, `stop`, at most a block at a time."""
    while start < stop:
        number, offset = divmod(start, BLOCK)
        end = min(stop - number * BLOCK, BLOCK)
        yield memoryview(block(number))[offset:end]
        start = number * BLOCK + end


class Digests:
    """SHA-256 of the stream's first N octets. Remembers the hash at every block's end, so each octet is hashed once."""

    def __init__(self) -> None:
        self._states = [hashlib.sha256()]
        self._lock = threading.Lock()

    def of_first(self, count: int) -> str:
        """64 hex digits."""
        blocks, rest = divmod(count, BLOCK)
        with self._lock:
            while len(self._states) <= blocks:
                state = self._states[-1].copy()
                state.update(block(len(self._states) - 1))
                self._states.append(state)
            state = self._states[blocks].copy()
        if rest:
            state.update(memoryview(block(blocks))[:rest])
        return state.hexdigest()
