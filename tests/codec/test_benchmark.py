"""The benchmark runs, and says whether its targets hold. How fast the codec is, it tells on a quiet machine only."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import MpsocksError
from lab.progress import Progress
from tests.codec import benchmark

ONE_ROUND = ("--benchmark-min-time=0", "--benchmark-max-time=0", "--benchmark-min-rounds=1")
MEDIANS = {
    "reference": 0.5, "decode[plain]": 2.0, "decode[five-options]": 9.5, "encode[plain]": 1.0,
    "encode[five-options]": 13.5, "decode_option[Tos]": 2.5,
}  # fmt: skip


@pytest.mark.slow
def test_everything_is_measured_in_one_round(tmp_path: Path) -> None:
    found = benchmark.measure(tmp_path / "benchmark.json", ONE_ROUND, Progress())
    names = {one.name for one in found.measurements}
    assert names > {"reference", *benchmark.TARGETS, "decode_option[SessionId]", "server[socks5]", "server[socks6]"}
    assert all(one.microseconds > 0 for one in found.measurements if "each of" not in one.name)


def test_times_are_held_against_their_targets() -> None:
    found = benchmark.interpret(MEDIANS)
    missed = {one.name: one.microseconds for one in found.measurements if not one.holds}
    assert missed == {"decode_option[Tos]": 2.5, "encode, each of five options": 2.5}
    assert not found.holds
    assert found.as_json()["measurements"][1] == {
        "name": "decode[plain]", "microseconds": 2.0, "ratio": 4.0, "target": 3.0, "holds": True,
    }  # fmt: skip
    assert found.lines()[-1] == "targets MISSED"
    assert sum("MISSED" in line for line in found.lines()[1:-1]) == 2


@pytest.mark.slow
def test_a_benchmark_that_fails_shows_why(tmp_path: Path) -> None:
    with pytest.raises(MpsocksError, match="unrecognized arguments"):
        benchmark.measure(tmp_path / "benchmark.json", ("--benchmark-nonsense",), Progress())
