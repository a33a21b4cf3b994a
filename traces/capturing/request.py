"""What a capture is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.errors import BadInputError

SNAP_LENGTH = 128
LONGEST_SNAP = 262144
BUFFER = 8
LARGEST_BUFFER = 1024


@dataclass(frozen=True, slots=True)
class Request:
    """Where, what and for how long to capture, checked as far as that takes no look at the host."""

    interfaces: tuple[str, ...]
    """Of this host; when none is named, the lab's uplinks."""
    expression: str = ""
    """A pcap filter; nothing takes every packet."""
    seconds: float | None = None
    """After how long it ends; None for never."""
    command: tuple[str, ...] = ()
    """The program to run meanwhile, with its arguments: the capture ends with it."""
    snap_length: int = SNAP_LENGTH
    """Octets kept of each packet."""
    buffer: int = BUFFER
    """MiB that the kernel may hold for each interface until tcpdump comes to take them."""
    guest: bool = False
    """Whether to capture in the guest too."""
    server: bool = False
    """Whether to capture on the emulated internet's web servers too."""
    out: Path | None = None
    """The run folder; one below the state folder when none is named."""
    keep: bool = False
    """Whether to keep the single captures beside the merged one."""

    def __post_init__(self) -> None:
        _require_between(self.snap_length, 1, LONGEST_SNAP, "--snaplen", "octets of each packet")
        _require_between(self.buffer, 1, LARGEST_BUFFER, "--buffer", "MiB for each interface")
        if self.seconds is not None and self.seconds <= 0:
            raise BadInputError("--for is no time at all", hint="give a duration such as 30s or 2m")


def _require_between(value: int, least: int, most: int, option: str, unit: str) -> None:
    if not least <= value <= most:
        raise BadInputError(f"{option} is {value}", hint=f"give {least} to {most} {unit}")
