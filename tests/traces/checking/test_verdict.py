"""What `check-mptcp` concludes from all findings, and how it tells."""

from __future__ import annotations

import json

import pytest

from tests.traces.checking.observations import BULK_FLOWS, DIGEST, PAGE_FLOW, UPLINKS, YAY, flow, seen
from traces.checking.judgement import judge
from traces.checking.verdict import ERROR_CODE, EXIT_CODES, Finding, Outcome, Verdict, shares, widest_connection


class TestVerdict:
    @pytest.mark.parametrize(
        ("outcomes", "verdict", "exit_code"),
        [
            (["proven", "proven"], Outcome.PROVEN, 0),
            (["proven", "not proven"], Outcome.NOT_PROVEN, 2),
            (["not proven", "disproved", "proven"], Outcome.DISPROVED, 1),
        ],
    )
    def test_the_worst_finding_decides(self, outcomes: list[str], verdict: Outcome, exit_code: int) -> None:
        found = Verdict(tuple(Finding("socks", "claim", Outcome(outcome), "") for outcome in outcomes), (), "")
        assert (found.outcome, found.exit_code) == (verdict, exit_code)

    def test_an_error_has_an_exit_code_of_its_own(self) -> None:
        assert len({*EXIT_CODES.values(), ERROR_CODE}) == 1 + len(Outcome)

    def test_a_machine_can_read_all_of_it(self) -> None:
        found = Verdict(tuple(judge(seen(), UPLINKS, DIGEST)), shares(["wlp1s0", "wlan1"], BULK_FLOWS), YAY)
        told = json.loads(json.dumps(found.as_json()))
        assert told["outcome"] == "proven"
        assert told["sentence"] == YAY
        assert told["shares"][1] == {"name": "wlan1", "subflows": 1, "bytes_up": 50_000, "bytes_down": 5_000_000}
        assert told["findings"][0]["outcome"] == "proven"

    def test_a_person_sees_each_claim_with_its_evidence_and_the_verdict_last(self) -> None:
        found = Verdict(tuple(judge(seen(bulk=None), UPLINKS, DIGEST)), shares(["wlp1s0"], BULK_FLOWS), YAY)
        lines = found.lines()
        assert lines[0] == f"✓ socks  the server says MPTCP: <p>{YAY}</p>"
        assert lines[3].startswith("? socks  every uplink carries a subflow and data: ")
        assert lines[4] == "wlp1s0: 1 subflows, 15000000 octets down, 150000 up"
        assert lines[-1] == "MPTCP over every uplink: not proven"


class TestShares:
    def test_only_agreed_subflows_count(self) -> None:
        refused = flow("wlp1s0", 500, agreed=False)
        assert [share.bytes_down for share in shares(["wlp1s0"], [*BULK_FLOWS, refused])] == [15_000_000]

    def test_an_uplink_that_is_named_twice_is_told_once(self) -> None:
        assert [share.name for share in shares(["wlan1", "wlan1", "wlp1s0"], [])] == ["wlan1", "wlp1s0"]

    def test_the_widest_connection_is_the_one_that_carried_most(self) -> None:
        assert widest_connection([PAGE_FLOW, *BULK_FLOWS]) == BULK_FLOWS
        assert widest_connection([flow("wlan1", 99_999_999, agreed=False)]) == []
