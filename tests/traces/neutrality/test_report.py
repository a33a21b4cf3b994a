"""A judgement as JSON and as text, each with what it must tell."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.traces.neutrality.simulator import Box, Network, Simulator
from traces.neutrality.judge import Judgement, judge
from traces.neutrality.model import Arm, Measurement, TableRow
from traces.neutrality.report import as_json, lines

MOBILE = Network(box=Box.INTERCEPT, box_arms=frozenset({Arm.PLAIN, Arm.DUMMY}), mptcp_factor=0.35)
TABLE = (
    TableRow("nomptcp_ttl10", 9, 124, True),
    TableRow("mptcp_ttl10", 9, None, False, syns=5),
    TableRow("mptcp_ttl64", 63, 51, True),
    TableRow("nomptcp_100MB", 63, 124, True, octets=100_000_000, seconds=11.6),
    TableRow("mptcp_100MB", 63, 49, True, octets=100_000_000, seconds=33.0),
)


@pytest.fixture(scope="module")
def judgement() -> Judgement:
    """The mobile uplink of the project's origin, with a near control."""
    simulator = Simulator(1)
    near = simulator.target(Network(distance=1), "near:80", is_near=True)
    web = replace(simulator.target(MOBILE, "mptcp.test:80"), table=TABLE)
    return judge(simulator.measurement(web, near))


@pytest.fixture(scope="module")
def told(judgement: Judgement) -> dict[str, Any]:
    """What a program reads."""
    read: dict[str, Any] = json.loads(json.dumps(as_json(judgement), allow_nan=False))
    return read


class TestJson:
    def test_verdicts_have_all_their_parts(self, told: dict[str, Any]) -> None:
        assert told["uplink"] == "wlan1"
        web, near = told["targets"]
        assert (web["target"], near["target"]) == ("mptcp.test:80", "near:80")
        intercepted, slower = web["verdicts"]
        assert set(intercepted) == {"kind", "arm", "hop", "reason", "p_value", "evidence"}
        assert (intercepted["kind"], intercepted["arm"], intercepted["hop"]) == ("intercepted", "plain", 5)
        assert 0 < intercepted["p_value"] < 0.005
        assert (slower["kind"], slower["arm"], slower["hop"], slower["reason"]) == (
            "rate-differentiated",
            None,
            None,
            None,
        )
        assert [verdict["kind"] for verdict in near["verdicts"]] == ["transparent"]

    def test_every_arm_is_told_by_its_name(self, told: dict[str, Any]) -> None:
        arms = told["targets"][0]["arms"]
        assert list(arms) == ["plain", "v1", "v0", "dummy"]
        assert {name: arm["lowest_ttl"] for name, arm in arms.items()} == {"plain": 5, "v1": 14, "v0": 14, "dummy": 5}
        assert (arms["plain"]["reply_ttl"], arms["plain"]["ttl_class"], arms["plain"]["hops"]) == (124, 128, 5)
        assert (arms["v1"]["reply_ttl"], arms["v1"]["ttl_class"], arms["v1"]["hops"]) == (51, 64, 14)
        assert arms["v1"]["mp_capable"] == arms["v1"]["answered"] == 25
        assert arms["plain"]["fingerprint"]["options"] != arms["v1"]["fingerprint"]["options"]

    def test_rates_are_octets_per_second(self, told: dict[str, Any]) -> None:
        speed = told["targets"][0]["speed"]
        assert speed["plain"] == pytest.approx(8e6, rel=0.1)
        assert speed["mptcp"] == pytest.approx(2.8e6, rel=0.1)
        low, high = speed["interval"]
        assert low < speed["ratio"] < high < 0.5

    def test_the_table_is_kept_row_by_row(self, told: dict[str, Any]) -> None:
        rows = told["targets"][0]["table"]
        assert [(row["name"], row["syn_ttl"], row["syn_ack_ttl"], row["answered"]) for row in rows[:2]] == [
            ("nomptcp_ttl10", 9, 124, True),
            ("mptcp_ttl10", 9, None, False),
        ]

    @pytest.mark.parametrize("pairs", [0, 1])
    def test_what_was_not_measured_is_null(self, pairs: int) -> None:
        simulator = Simulator(1, pairs=pairs)
        judged = as_json(judge(simulator.measurement(simulator.target(Network()))))
        speed = json.loads(json.dumps(judged, allow_nan=False))["targets"][0]["speed"]
        assert speed["interval"] is None
        assert (speed["ratio"] is None) == (pairs == 0)

    def test_nothing_measured_is_told_too(self) -> None:
        assert as_json(judge(Measurement("wlan1", 1, ()))) == {"uplink": "wlan1", "targets": []}


class TestText:
    def test_the_table_reads_like_that_of_the_origin(self, judgement: Judgement) -> None:
        text = [line.strip() for line in lines(judgement)]
        assert text[0] == "mptcp.test:80 over wlan1"
        rows = [line.split() for line in text[2:7]]
        assert rows == [
            ["nomptcp_ttl10", "9", "124"],
            ["mptcp_ttl10", "9,", "5", "times", "unanswered"],
            ["mptcp_ttl64", "63", "51"],
            ["nomptcp_100MB", "63", "124", "8.6", "MB/s"],
            ["mptcp_100MB", "63", "49", "3.0", "MB/s"],
        ]

    def test_each_arm_has_what_answers_it_and_how_far_away(self, judgement: Judgement) -> None:
        text = [line.strip() for line in lines(judgement)]
        rows = text[8:12]
        assert [row.split()[:5] for row in rows] == [
            ["plain", "5", "124", "128", "5"],
            ["v1", "14", "51", "64", "14"],
            ["v0", "14", "51", "64", "14"],
            ["dummy", "5", "124", "128", "5"],
        ]
        assert [row.partition("window ")[2] for row in rows] == [
            "65160 << 7, MSS 1460, options 2 3 4",
            *["65160 << 7, MSS 1460, options 2 4 8 3"] * 2,
            "65160 << 7, MSS 1460, options 2 3 4",
        ]

    def test_every_verdict_comes_with_its_evidence(self, judgement: Judgement) -> None:
        text = lines(judgement)
        at = text.index("✗ intercepted(plain)@5")
        assert text[at + 1].strip().startswith("consistent with a box at TTL 5")
        assert "(p = " in text[at + 1]
        assert "✗ rate-differentiated" in text
        assert "✓ transparent" in text

    def test_what_cannot_be_told_names_its_reason(self) -> None:
        simulator = Simulator(1, pairs=0)
        judged = judge(simulator.measurement(simulator.target(Network(server_mptcp=False), speaks_mptcp=None)))
        assert any(line.startswith("? inconclusive(the target does not agree to MPTCP") for line in lines(judged))
