"""What a person is told of a capture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from traces.capturing.counts import Counts
from traces.capturing.machine import Look
from traces.capturing.outcome import Captured, InterfaceOutcome, warnings

FOLDER = Path("/captures/run")
GOOD = InterfaceOutcome("wlp1s0", "", "wlp1s0", "tcp", 12, Counts(12, 12, 0, 0), {"tx_packets": 12})
DROPPING = replace(GOOD, name="guest:mptcp0", machine="guest", counts=Counts(12, 15, 3, 0))
CAPTURED = Captured(
    FOLDER, FOLDER / "capture.pcapng", FOLDER / "manifest.json", "command", 1.25, 3, (GOOD, DROPPING), ("look out",)
)


def test_nothing_is_warned_of_when_all_went_well() -> None:
    assert warnings((GOOD,), ()) == []


def test_drops_are_warned_of_with_what_to_do() -> None:
    assert warnings((GOOD, DROPPING), ()) == ["guest:mptcp0: the kernel dropped 3 packets: give a larger --buffer"]


def test_packets_that_could_not_be_written_are_missed() -> None:
    cut = replace(GOOD, packets=9)
    assert warnings((cut,), ()) == ["wlp1s0: 3 packets that were captured are not in the file: was the disk full?"]


def test_what_is_not_known_is_not_taken_for_none() -> None:
    unknown = replace(GOOD, counts=None)
    assert "not known" in warnings((unknown,), ("wlp1s0",))[1]
    assert "unknown" in unknown.line()


def test_the_report_names_file_interfaces_warnings_and_manifest() -> None:
    first, *rest = CAPTURED.lines()
    assert first == "capture: /captures/run/capture.pcapng (24 packets in 1.2 s)"
    assert [line.split()[0] for line in rest] == ["wlp1s0", "guest:mptcp0", "warning:", "circumstances:"]


def test_as_json_it_is_the_same() -> None:
    told = json.loads(json.dumps(CAPTURED.as_json()))
    assert told["file"] == "/captures/run/capture.pcapng"
    assert told["exit_code"] == 3
    assert told["interfaces"][1]["counts"]["dropped_by_kernel"] == 3


def test_another_clock_is_told_with_how_well_it_is_known() -> None:
    assert Look({}, 0.0, 0.0).clock_note() == ""
    assert Look({}, -0.0123, 0.004).clock_note() == ", whose clock is 12.3 ms behind (within 4.0 ms)"
