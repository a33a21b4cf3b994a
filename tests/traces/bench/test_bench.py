"""The benchmark runs, and says whether its targets hold. How fast the reader is, it tells on a quiet machine only."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import MpsocksError
from lab.progress import Progress
from tests.traces.bench.capture import SEGMENT, write_capture
from tests.traces.bench.contenders import CONTENDERS, FAST, SAME, USUAL, WHOLE, Contender, Run, run
from tests.traces.bench.listing import mptcp_syns
from tests.traces.bench.run import measure, summarise
from traces.summary import read_trace

QUICK, SLOW = Run(1.0, 0.9, 80.0), Run(20.0, 19.0, 700.0)


class TestCapture:
    def test_has_the_connections_that_it_says(self, tmp_path: Path) -> None:
        contents = write_capture(tmp_path / "c.pcap", 1200, connections=3)
        trace = read_trace([tmp_path / "c.pcap"], Progress())
        assert tuple(connection.bytes.s2c for connection in trace.connections) == contents.bytes_each
        assert all(len(connection.subflows) == 2 for connection in trace.connections)
        assert {subflow.hmac for connection in trace.connections for subflow in connection.subflows[1:]} == {"right"}
        assert trace.warnings == ()

    def test_has_about_as_many_packets_as_it_should(self, tmp_path: Path) -> None:
        contents = write_capture(tmp_path / "c.pcap", 10_000)
        assert 9_900 < contents.packets <= 10_000
        assert contents.bytes_each[0] % (2 * SEGMENT) == 0


def test_the_listing_has_the_subflows_and_no_more(tmp_path: Path) -> None:
    write_capture(tmp_path / "c.pcap", 1000, connections=2)
    assert list(mptcp_syns(tmp_path / "c.pcap")) == [
        "192.168.1.21\t40000\t198.51.100.8\t80", "172.20.10.4\t50000\t198.51.100.8\t80",
        "192.168.1.21\t40001\t198.51.100.8\t80", "172.20.10.4\t50001\t198.51.100.8\t80",
    ]  # fmt: skip


@pytest.mark.slow
def test_everything_is_measured_with_few_packets(tmp_path: Path) -> None:
    found = measure(tmp_path / "c.pcap", 2000, 1, Progress())
    assert [one.contender for one in found.measurements] == list(CONTENDERS)
    assert all(one.seconds > 0 and one.megabytes > 1 for one in found.measurements)


class TestSummary:
    @pytest.mark.parametrize(
        ("whole", "same", "missed"),
        [(QUICK, QUICK, 0), (Run(3.0, 3.0, 80.0), QUICK, 1), (QUICK, Run(1.5, 1.5, 80.0), 1)],
    )
    def test_ratios_are_held_against_their_targets(self, whole: Run, same: Run, missed: int) -> None:
        found = summarise({WHOLE: [whole], SAME: [same], USUAL: [SLOW, SLOW], FAST: [Run(12.0, 12.0, 500.0)]}, 1000)
        assert found.tshark == FAST
        assert sum(not one.holds for one in found.comparisons()) == missed
        assert found.holds == (not missed)
        assert found.exit_code == (1 if missed else 0)
        assert sum("MISSED" in line for line in found.lines()[:-1]) == missed
        told = {(one["name"], one["beside"]): one["ratio"] for one in found.as_json()["ratios"]}
        assert told[WHOLE.name, FAST.name] == pytest.approx(12.0 / whole.seconds)

    def test_rounds_give_their_median(self) -> None:
        (one,) = summarise({WHOLE: [QUICK, SLOW, QUICK]}, 1000).measurements
        assert (one.seconds, one.processor_seconds, one.megabytes) == (1.0, 0.9, 700.0)


class TestRun:
    def test_a_program_that_fails_shows_why(self, tmp_path: Path) -> None:
        with pytest.raises(MpsocksError, match="none failed") as failed:
            run(Contender("none", ("ls", "{file}"), len), tmp_path / "missing", 1)
        assert "missing" in failed.value.why

    def test_a_program_that_lists_something_else_is_no_rival(self, tmp_path: Path) -> None:
        with pytest.raises(MpsocksError, match="lists 6 subflows, and the capture has 2"):
            run(Contender("echo", ("echo", "hello"), len), tmp_path, 2)
