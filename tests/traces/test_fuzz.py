"""Files that are no captures, or damaged ones, break neither the reader nor the analysis."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.progress import Progress
from tests.fuzzing import campaign
from tests.fuzzing.mutations import search
from tests.fuzzing.subject import CAPTURES
from tests.traces.fuzz.target import TARGET
from traces.mptcp import options
from traces.mptcp.options import Subtype
from traces.reading.segments import Int64
from traces.reading.tally import Oddity, Tally

SEEDS = list(CAPTURES.seeds())


@pytest.mark.slow
def test_changed_seeds_break_nothing() -> None:
    finding = search(TARGET, SEEDS, runs=500)
    if finding is not None:
        raise AssertionError(TARGET.describe(finding.data)) from finding.error


def test_the_seeds_try_everything() -> None:
    assert {TARGET.names[data[0]] for data in SEEDS} == set(TARGET.names)
    assert all(len(data) <= CAPTURES.largest_input for data in SEEDS)


@pytest.mark.skipif(not campaign.is_available(), reason="atheris has no wheel for this platform")
@pytest.mark.slow
def test_a_short_run_guided_by_coverage_finds_nothing(tmp_path: Path) -> None:
    result = campaign.fuzz(CAPTURES, tmp_path, ("-runs=300", "-seed=1"), Progress())
    assert not result.findings, "\n".join(result.lines())
    assert result.executions >= 300
    assert result.coverage > 500


class TestPlantedDefects:
    def test_a_length_that_nobody_checks_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(options.LENGTHS, Subtype.ADD_ADDR, frozenset(range(41)))
        finding = search(TARGET, [TARGET.make_input("options", octets_of_short_address())], runs=0)
        assert finding is not None
        assert isinstance(finding.error, IndexError)

    def test_what_depends_on_the_size_of_pieces_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def note(self: Tally, oddity: Oddity, numbers: Int64, _detail: str = "") -> None:
            if len(numbers):
                self.say(f"packet {numbers[0]} and more: {oddity.value}")

        monkeypatch.setattr(Tally, "note", note)
        finding = search(TARGET, SEEDS, runs=500)
        assert finding is not None
        assert "the size of pieces matters" in str(finding.error)


def octets_of_short_address() -> bytes:
    """The options of a conversation's fourth segment: an ADD_ADDR of three octets."""
    nothing, short = b"\0\0", bytes((0, 3, 30, 3, Subtype.ADD_ADDR << 4))
    return nothing * 3 + short
