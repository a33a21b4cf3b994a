"""What came of a capture: as a person, a program and the manifest are told."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traces.capturing.counts import Counts


@dataclass(frozen=True, slots=True)
class InterfaceOutcome:
    """How the capture on one interface went."""

    name: str
    """As in the merged file: `wlp1s0`, `guest:mptcp0`."""
    machine: str
    """Nothing for this host."""
    interface: str
    expression: str
    packets: int
    """In the merged file."""
    counts: Counts | None
    """As tcpdump told at its end; None when it could not."""
    kernel: dict[str, int]
    """By how much the interface's own counters rose meanwhile: `rx_packets`, `rx_dropped` and so on."""

    def line(self) -> str:
        """For a person."""
        dropped = "unknown" if self.counts is None else str(self.counts.dropped_by_kernel)
        return f"{self.name:<20}{self.packets:>10} packets, dropped by the kernel: {dropped}"


@dataclass(frozen=True, slots=True)
class Captured:
    """A capture that has ended."""

    folder: Path
    file: Path
    """The merged capture."""
    manifest: Path
    ended_by: str
    seconds: float
    exit_code: int
    """The command's; 0 without one, 1 when nothing could be captured any more."""
    interfaces: tuple[InterfaceOutcome, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        places = {name: str(getattr(self, name)) for name in ("folder", "file", "manifest")}
        return {**dataclasses.asdict(self), **places}

    def lines(self) -> list[str]:
        """For a person."""
        return [
            f"capture: {self.file} ({sum(one.packets for one in self.interfaces)} packets in {self.seconds:.1f} s)",
            *(f"  {one.line()}" for one in self.interfaces),
            *(f"warning: {warning}" for warning in self.warnings),
            f"circumstances: {self.manifest}",
        ]


def warnings(interfaces: tuple[InterfaceOutcome, ...], lost: tuple[str, ...]) -> list[str]:
    """What whoever reads the capture must know."""
    told = [f"{name}: the capture ended before its time" for name in lost]
    for one in interfaces:
        if one.counts is None:
            told.append(f"{one.name}: what the kernel dropped is not known: tcpdump was killed")
        elif one.counts.dropped_by_kernel:
            told.append(
                f"{one.name}: the kernel dropped {one.counts.dropped_by_kernel} packets: give a larger --buffer"
            )
        if one.counts and one.packets < one.counts.captured:
            # tcpdump goes on, and counts on, when the disk is full.
            missing = one.counts.captured - one.packets
            told.append(f"{one.name}: {missing} packets that were captured are not in the file: was the disk full?")
    return told
