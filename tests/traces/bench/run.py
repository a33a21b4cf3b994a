"""`invoke bench-traces`: how fast subflows are listed, beside tshark with the same file in the same run."""

from __future__ import annotations

import shlex
import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.context import Lab
from lab.errors import BadInputError, MpsocksError
from lab.progress import Progress
from tests.traces.bench.capture import UPLINKS, write_capture
from tests.traces.bench.contenders import CONTENDERS, SAME, USUAL, WHOLE, Contender, Run, run

PACKETS, ROUNDS = 1_000_000, 3
FEWEST_PACKETS = 100
TARGET = 10.0
"""Times as many packets in a second as tshark: with the same work as the faster way of calling it, and with the whole
analysis as the usual way."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one program took: medians of its runs."""

    contender: Contender
    packets: int
    runs: tuple[Run, ...]

    @property
    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)

    @property
    def processor_seconds(self) -> float:
        return statistics.median(run.processor_seconds for run in self.runs)

    @property
    def megabytes(self) -> float:
        return max(run.megabytes for run in self.runs)

    @property
    def rate(self) -> float:
        """Packets per second."""
        return self.packets / self.seconds

    def __str__(self) -> str:
        numbers = f"{self.seconds:9.2f}{self.processor_seconds:12.2f}{self.rate:14,.0f}{self.megabytes:10.0f}"
        return f"{self.contender.name:<22}{numbers}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of ours beside a way of calling tshark."""

    ours: Contender
    theirs: Contender
    ratio: float
    """How many times as many packets per second."""
    target: float
    """0: there is none."""

    @property
    def holds(self) -> bool:
        return self.ratio >= self.target

    def __str__(self) -> str:
        verdict = f", target {self.target:.0f} {'holds' if self.holds else 'MISSED'}" if self.target else ""
        return f"{self.ours.name}: {self.ratio:.1f} times {self.theirs.name}{verdict}"


@dataclass(frozen=True, slots=True)
class Summary:
    """All measurements of a run."""

    measurements: tuple[Measurement, ...] = ()

    def ratio(self, ours: Contender, theirs: Contender) -> float:
        """How many times as many packets per second."""
        rates = {one.contender: one.rate for one in self.measurements}
        return rates[ours] / rates[theirs]

    @property
    def tshark(self) -> Contender:
        """The faster way of calling it."""
        return max((one for one in self.measurements if one.contender.is_tshark), key=lambda one: one.rate).contender

    @property
    def holds(self) -> bool:
        """Whether every target holds."""
        return all(one.holds for one in self.comparisons())

    @property
    def exit_code(self) -> int:
        """0 when every target holds, else 1."""
        return int(not self.holds)

    def comparisons(self) -> list[Comparison]:
        """Each of ours beside each way of calling tshark."""
        theirs = [one.contender for one in self.measurements if one.contender.is_tshark]
        targets = {(SAME, self.tshark), (WHOLE, USUAL)}
        return [
            Comparison(ours, other, self.ratio(ours, other), TARGET if (ours, other) in targets else 0.0)
            for ours in (WHOLE, SAME)
            for other in theirs
        ]

    def as_json(self) -> dict[str, Any]:
        """The result for machines."""
        rows = [
            {
                "name": one.contender.name, "packets": one.packets, "seconds": one.seconds,
                "processor_seconds": one.processor_seconds, "packets_per_second": one.rate, "megabytes": one.megabytes,
            }
            for one in self.measurements
        ]  # fmt: skip
        ratios = [
            {
                "name": one.ours.name, "beside": one.theirs.name, "ratio": one.ratio, "target": one.target or None,
                "holds": one.holds,
            }
            for one in self.comparisons()
        ]  # fmt: skip
        return {"holds": self.holds, "measurements": rows, "ratios": ratios}

    def lines(self) -> list[str]:
        """The result for people."""
        header = f"{'':<22}{'seconds':>9}{'processor':>12}{'packets/s':>14}{'MB':>10}"
        verdict = f"targets {'hold' if self.holds else 'MISSED'}"
        return [header, *map(str, self.measurements), *map(str, self.comparisons()), verdict]


def run_bench_traces(lab: Lab, *, packets: int = 0, rounds: int = 0) -> Summary:
    """Measure with a capture made for it, that many packets and rounds (0: the default)."""
    packets, rounds = packets or PACKETS, rounds or ROUNDS
    if packets < FEWEST_PACKETS or rounds < 1:
        raise BadInputError(
            f"{packets} packets and {rounds} rounds are too few",
            hint=f"{FEWEST_PACKETS} packets and 1 round are the least: --packets 1000000 --rounds 3",
        )
    if lab.host.dry:
        for contender in CONTENDERS:
            print(shlex.join(contender.command(Path("bench.pcap"))))
        return Summary()
    if shutil.which("tshark") is None:
        raise MpsocksError("there is no tshark to compare with", hint="apt-get install tshark")
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder) / "bench.pcap", packets, rounds, lab.progress)


def measure(file: Path, packets: int, rounds: int, progress: Progress) -> Summary:
    """Write the capture to `file`, and run the programs in turns: what disturbs one disturbs the others."""
    with progress.stage(f"writing {packets} packets"):
        contents = write_capture(file, packets)
    taken: dict[Contender, list[Run]] = {contender: [] for contender in CONTENDERS}
    with progress.stage("listing subflows") as stage:
        for number in range(rounds):
            for at, contender in enumerate(CONTENDERS):
                stage.tell(contender.name, number * len(CONTENDERS) + at, rounds * len(CONTENDERS))
                taken[contender].append(run(contender, file, contents.connections * len(UPLINKS)))
    return summarise(taken, contents.packets)


def summarise(taken: Mapping[Contender, Sequence[Run]], packets: int) -> Summary:
    return Summary(tuple(Measurement(contender, packets, tuple(runs)) for contender, runs in taken.items()))
