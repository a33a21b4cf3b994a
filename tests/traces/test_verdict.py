"""What `check-mptcp` concludes from what was seen."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from ipaddress import ip_address

import pytest

from lab.plan import tap_plans
from traces.check import Observed, Request, judge
from traces.counters import Counters
from traces.fetch import Fetched, Target
from traces.subflows import Subflow
from traces.verdict import Finding, Outcome, Verdict, shares, widest_connection

YAY = "Yay, you are MPTCP-capable! You can now rest in peace."
NAY = "Nay, Nay, Nay, your have to install MPTCP."
BULK = b"bulk" * 1000
DIGEST = hashlib.sha256(BULK).hexdigest()
TARGET = Target("http://mptcp.test/", "mptcp.test", 80, "198.51.100.8")
REQUEST = Request(
    page=TARGET,
    bulk=TARGET,
    bulk_sha256=DIGEST,
    socks="10.66.6.2:6666",
    uplinks=tuple(zip(tap_plans(2), ("wlp1s0", "wlan1"), strict=True)),
)


def flow(uplink: str, down: int, *, joins: str = "", token: str = "", agreed: bool = True, port: int = 1) -> Subflow:
    client, server = (ip_address("192.168.1.21"), port), (ip_address("198.51.100.8"), 80)
    return Subflow(
        uplink,
        client,
        server,
        joins=joins,
        version=None if joins else 1,
        answered=True,
        agreed=agreed,
        token=token,
        bytes_up=down // 100,
        bytes_down=down,
    )


PAGE_FLOW = flow("wlp1s0", 60, token="0000aaaa", port=1)
BULK_FLOWS = [flow("wlp1s0", 3000, token="0000bbbb", port=2), flow("wlan1", 1000, joins="0000bbbb", port=3)]


def seen(**changed: object) -> Observed:
    """One way on which all was well, but for what is `changed`."""
    well = Observed(
        way="socks",
        page=Fetched(60, "", f"<p>{YAY}</p>\n"),
        bulk=Fetched(len(BULK), DIGEST, "bulk"),
        counters=Counters(agreed=2, joined=1, fallbacks=0),
        most_subflows=2,
        subflows=[PAGE_FLOW, *BULK_FLOWS],
    )
    return dataclasses.replace(well, **changed)  # type: ignore[arg-type]


def concluded(observed: Observed, request: Request = REQUEST) -> Verdict:
    return Verdict(tuple(judge(observed, request)), (), "")


def failing(observed: Observed, request: Request = REQUEST) -> list[tuple[str, Outcome]]:
    """The claims that are not proven."""
    findings = concluded(observed, request).findings
    return [(found.claim, found.outcome) for found in findings if found.outcome is not Outcome.PROVEN]


class TestClaims:
    def test_when_all_holds_all_is_proven(self) -> None:
        assert failing(seen()) == []
        assert [finding.claim for finding in concluded(seen()).findings] == [
            "the server says MPTCP",
            "MP_CAPABLE is agreed",
            "the guest's kernel counts MPTCP and no fallback",
            "the file arrives whole",
            "wlp1s0 carries a subflow and data",
            "wlan1 carries a subflow and data",
        ]

    @pytest.mark.parametrize(
        ("page", "outcome"),
        [
            (Fetched(60, "", NAY), Outcome.DISPROVED),
            (Fetched(60, "", "It works!"), Outcome.NOT_PROVEN),
            (Fetched(0, "", "", "curl: (7) Failed to connect"), Outcome.DISPROVED),
        ],
    )
    def test_the_servers_sentence(self, page: Fetched, outcome: Outcome) -> None:
        assert failing(seen(page=page)) == [("the server says MPTCP", outcome)]

    @pytest.mark.parametrize(
        "subflow", [flow("wlp1s0", 60, agreed=False), flow("wlan1", 9000, agreed=False)], ids=["small", "large"]
    )
    def test_one_syn_that_was_answered_without_mp_capable_disproves_it(self, subflow: Subflow) -> None:
        observed = seen(subflows=[PAGE_FLOW, *BULK_FLOWS, subflow])
        assert failing(observed) == [("MP_CAPABLE is agreed", Outcome.DISPROVED)]

    def test_so_does_a_capture_without_any(self) -> None:
        assert ("MP_CAPABLE is agreed", Outcome.DISPROVED) in failing(seen(subflows=[]))

    @pytest.mark.parametrize("counters", [Counters(0, 0, 0), Counters(2, 1, 1)], ids=["no MPTCP", "a fallback"])
    def test_the_kernels_counters_must_agree(self, counters: Counters) -> None:
        assert failing(seen(counters=counters)) == [
            ("the guest's kernel counts MPTCP and no fallback", Outcome.DISPROVED)
        ]

    def test_a_page_that_lies_does_not_help(self) -> None:
        nothing = seen(subflows=[], counters=Counters(0, 0, 0))
        assert concluded(nothing).outcome is Outcome.DISPROVED

    @pytest.mark.parametrize(
        "bulk", [Fetched(4000, hashlib.sha256(b"other").hexdigest(), ""), Fetched(0, "", "", "curl: (28) timed out")]
    )
    def test_the_file_must_arrive_whole(self, bulk: Fetched) -> None:
        assert failing(seen(bulk=bulk)) == [("the file arrives whole", Outcome.DISPROVED)]

    def test_without_a_known_digest_its_arrival_is_enough(self) -> None:
        assert failing(seen(bulk=Fetched(5, "any", "")), dataclasses.replace(REQUEST, bulk_sha256="")) == []

    @pytest.mark.parametrize(
        "subflows",
        [
            BULK_FLOWS[:1],
            [BULK_FLOWS[0], flow("wlan1", 0, joins="0000bbbb", port=3)],
            [BULK_FLOWS[0], flow("wlan1", 1000, joins="0000bbbb", port=3, agreed=False)],
            [BULK_FLOWS[0], flow("wlan1", 1000, joins="0000cccc", port=3)],
        ],
        ids=["no subflow", "no data", "a refused join", "another connection's"],
    )
    def test_an_uplink_without_its_part_of_the_file_disproves_it(self, subflows: list[Subflow]) -> None:
        assert failing(seen(subflows=subflows)) == [("wlan1 carries a subflow and data", Outcome.DISPROVED)]

    def test_without_a_file_nothing_is_proven_of_the_uplinks(self) -> None:
        assert failing(seen(bulk=None, subflows=[PAGE_FLOW])) == [
            ("every uplink carries a subflow and data", Outcome.NOT_PROVEN)
        ]


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

    def test_a_machine_can_read_all_of_it(self) -> None:
        found = Verdict(tuple(judge(seen(), REQUEST)), shares(["wlp1s0", "wlan1"], BULK_FLOWS), YAY)
        told = json.loads(json.dumps(found.as_json()))
        assert told["outcome"] == "proven"
        assert told["sentence"] == YAY
        assert told["shares"][1] == {"name": "wlan1", "subflows": 1, "bytes_up": 10, "bytes_down": 1000}
        assert told["findings"][0]["outcome"] == "proven"

    def test_a_person_sees_each_claim_with_its_evidence_and_the_verdict_last(self) -> None:
        found = Verdict(tuple(judge(seen(bulk=None), REQUEST)), shares(["wlp1s0"], BULK_FLOWS), YAY)
        lines = found.lines()
        assert lines[0] == f"✓ socks  the server says MPTCP: <p>{YAY}</p>"
        assert lines[3].startswith("? socks  every uplink carries a subflow and data: ")
        assert lines[4] == "wlp1s0: 1 subflows, 3000 octets down, 30 up"
        assert lines[-1] == "MPTCP over every uplink: not proven"


class TestShares:
    def test_only_agreed_subflows_count(self) -> None:
        refused = flow("wlp1s0", 500, agreed=False)
        assert [share.bytes_down for share in shares(["wlp1s0"], [*BULK_FLOWS, refused])] == [3000]

    def test_an_uplink_that_is_named_twice_is_told_once(self) -> None:
        assert [share.name for share in shares(["wlan1", "wlan1", "wlp1s0"], [])] == ["wlan1", "wlp1s0"]

    def test_the_widest_connection_is_the_one_that_carried_most(self) -> None:
        assert widest_connection([PAGE_FLOW, *BULK_FLOWS]) == BULK_FLOWS
        assert widest_connection([flow("wlan1", 9999, agreed=False)]) == []
