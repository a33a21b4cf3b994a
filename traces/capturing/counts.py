"""What tcpdump counted, read from what it says when it ends."""

from __future__ import annotations

import re
from dataclasses import dataclass

LINE = re.compile(
    r"^(\d+) packets? (captured|received by filter|dropped by kernel|dropped by interface)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Packets of one capture. The kernel counts those received and dropped, for tcpdump's own socket."""

    captured: int
    received_by_filter: int
    """Those that passed the filter, whether there was room for them or not; on loopback each twice."""
    dropped_by_kernel: int
    """For want of room in the capture's buffer."""
    dropped_by_interface: int


def read_counts(log: str) -> Counts | None:
    """The counts at the end of what tcpdump said; None when it was killed before it could tell."""
    told = {what: int(number) for number, what in LINE.findall(log)}
    if not {"captured", "received by filter", "dropped by kernel"} <= told.keys():
        return None
    return Counts(
        captured=told["captured"],
        received_by_filter=told["received by filter"],
        dropped_by_kernel=told["dropped by kernel"],
        # It says nothing of an interface that dropped none.
        dropped_by_interface=told.get("dropped by interface", 0),
    )
