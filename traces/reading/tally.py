"""What was odd about a file: said once for each kind, with the first packet and how many there were."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from traces.reading.segments import Int64


class Oddity(Enum):
    """What can be wrong with a packet; the value is how a person is told."""

    ODD_RECORD = "has an impossible time or length in its record: the file may be damaged there"
    NO_TIME = "has no time: taken as 1970"
    NO_INTERFACE = "is of an interface that the file does not describe: left out"
    TOO_LONG = "is longer than the block that holds it: left out"
    UNKNOWN_LINK = "is of a link layer that is not understood, and left out: LINKTYPE"
    CUT_HEADERS = "ends within its headers: left out"
    MALFORMED = "has IP or TCP header lengths that cannot be: left out"
    FRAGMENT = "is a later fragment of an IP packet: left out"
    CUT_OPTIONS = "ends within its TCP options: those behind the end are unknown"
    BAD_OPTIONS = "has malformed TCP options: those behind the first such one are unknown"


class Tally:
    """The oddities of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._first: dict[str, int] = {}
        self._count: Counter[str] = Counter()
        self._said: list[str] = []

    def note(self, oddity: Oddity, numbers: Int64, detail: str = "") -> None:
        """Remember that these packets have it; `detail` goes behind what is told of it."""
        if len(numbers):
            what = f"{oddity.value} {detail}".rstrip()
            # IPv4 is looked at before IPv6, whichever came first.
            self._first[what] = min(int(numbers[0]), self._first.get(what, int(numbers[0])))
            self._count[what] += len(numbers)

    def note_where(self, oddity: Oddity, numbers: Int64, has: NDArray[np.bool_]) -> None:
        """Remember those packets for which `has` is true."""
        if has.any():
            self.note(oddity, numbers[has])

    def say(self, text: str) -> None:
        """Something about the file itself."""
        self._said.append(f"{self.path}: {text}")

    def warnings(self) -> list[str]:
        """In the order of the packets, and last why the reading ended."""
        told = [
            f"{self.path}: packet {first}{_others(self._count[what] - 1)} {what}"
            for what, first in sorted(self._first.items(), key=lambda item: item[1])
        ]
        return told + self._said


def _others(count: int) -> str:
    return f" (and {count} more)" if count else ""
