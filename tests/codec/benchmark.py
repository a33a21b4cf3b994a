"""`invoke bench-codec`: runs bench_codec.py, and says what it means."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.context import Lab
from lab.errors import MpsocksError
from lab.progress import Progress

ROOT = Path(__file__).parents[2]
REFERENCE = "reference"
TARGETS = {"decode[plain]": 3.0, "encode[plain]": 2.0}
"""Microseconds in CPython on one core."""
OPTION_TARGET = 2.0
"""Microseconds for each option."""
# Rounds of a millisecond: the clock is no part of what is measured, and an interruption spoils one round only.
TIMING = ("--benchmark-min-time=0.001", "--benchmark-max-time=0.5")


@dataclass(frozen=True, slots=True)
class Measurement:
    """The median time of one thing, in microseconds, and what it should be at most (0: there is no target)."""

    name: str
    microseconds: float
    ratio: float
    """To the reference of the same run, which is as fast as it could be."""
    target: float = 0.0

    @property
    def holds(self) -> bool:
        return not self.target or self.microseconds <= self.target

    def __str__(self) -> str:
        verdict = f"{self.target:6.1f} {'holds' if self.holds else 'MISSED'}" if self.target else ""
        return f"{self.name:<42}{self.microseconds:8.2f}{self.ratio:8.1f}  {verdict}".rstrip()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All measurements of a run."""

    measurements: tuple[Measurement, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every target holds."""
        return all(one.holds for one in self.measurements)

    def as_json(self) -> dict[str, Any]:
        """The result for machines."""
        rows = [
            {"name": one.name, "microseconds": one.microseconds, "ratio": one.ratio, "target": one.target or None,
             "holds": one.holds}
            for one in self.measurements
        ]  # fmt: skip
        return {"holds": self.holds, "measurements": rows}

    def lines(self) -> list[str]:
        """The result for people."""
        header = f"{'':<42}{'µs':>8}{'ratio':>8}  target"
        return [header, *map(str, self.measurements), f"targets {'hold' if self.holds else 'MISSED'}"]


def run_bench(lab: Lab) -> Benchmark:
    """Measure the codec: half a second for each of some fifteen things."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "benchmark.json"
        if lab.host.dry:
            print(shlex.join(_argv(file, TIMING)))
            return Benchmark()
        return measure(file, TIMING, lab.progress)


def measure(file: Path, timing: Sequence[str], progress: Progress) -> Benchmark:
    """Run pytest-benchmark with those options; it writes to `file`."""
    # Whether it runs inside another pytest or not: what that was told is not for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with progress.stage("measure the codec"):
        done = subprocess.run(
            _argv(file, timing), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise MpsocksError("the benchmark failed", why=done.stdout + done.stderr)
    found = json.loads(file.read_text())["benchmarks"]
    return interpret({one["name"].removeprefix("test_"): one["stats"]["median"] * 1e6 for one in found})


def interpret(medians: Mapping[str, float]) -> Benchmark:
    """The measurements from the medians in microseconds by name, with what a further option costs as one more."""
    options = [name for name in medians if name.startswith("decode_option[")]
    targets = {**TARGETS, **dict.fromkeys(options, OPTION_TARGET)}
    times = dict(medians)
    for what in ("decode", "encode"):
        further = f"{what}, each of five options"
        times[further] = (medians[f"{what}[five-options]"] - medians[f"{what}[plain]"]) / 5
        targets[further] = OPTION_TARGET
    reference = medians[REFERENCE]
    return Benchmark(
        tuple(Measurement(name, time, time / reference, targets.get(name, 0.0)) for name, time in times.items())
    )


def _argv(file: Path, timing: Sequence[str]) -> list[str]:
    chosen = (*timing, f"--benchmark-json={file}", "-q", "-p", "no:cacheprovider", "tests/codec/bench_codec.py")
    return [sys.executable, "-m", "pytest", *chosen]
