"""What was odd about a file: said once for each kind, with the first packet and how many there were."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import numpy as np

from traces.reading.segments import Int64


class Oddity(Enum):
    """What can be wrong with a packet; the value is how a person is told."""

    ODD_RECORD = "an impossible time or length in its record: the file may be damaged there"
    NO_TIME = "no time: taken as 1970"
    NO_INTERFACE = "an interface that the file does not describe: left out"
    UNKNOWN_LINK = "a link layer that is not understood: left out"
    CUT_HEADERS = "ends within its headers: left out"
    MALFORMED = "IP or TCP header lengths that cannot be: left out"
    FRAGMENT = "a later fragment of an IP packet: left out"
    CUT_OPTIONS = "ends within its TCP options: those behind the end are unknown"
    BAD_OPTIONS = "malformed TCP options: those behind the first such one are unknown"


class Tally:
    """The oddities of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._first: dict[Oddity, int] = {}
        self._count: dict[Oddity, int] = {}
        self._said: list[str] = []

    def note(self, oddity: Oddity, numbers: Int64) -> None:
        """Remember that these packets have it."""
        if len(numbers):
            first = int(numbers[0])
            self._first[oddity] = min(first, self._first.get(oddity, first))
            self._count[oddity] = self._count.get(oddity, 0) + len(numbers)

    def note_where(self, oddity: Oddity, numbers: Int64, has: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> None:
        """Remember those packets for which `has` is true."""
        if has.any():
            self.note(oddity, numbers[has])

    def say(self, text: str) -> None:
        """Something about the file itself."""
        self._said.append(f"{self.path}: {text}")

    def warnings(self) -> list[str]:
        """In the order of the packets, and what ended the reading last."""
        told = [
            f"{self.path}: packet {first}{_others(self._count[oddity] - 1)}: {oddity.value}"
            for oddity, first in sorted(self._first.items(), key=lambda item: item[1])
        ]
        return told + self._said


def _others(count: int) -> str:
    return f" (and {count} more)" if count else ""
