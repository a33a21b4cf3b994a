"""What is concluded from what was seen of one way through the guest."""

from __future__ import annotations

import hashlib

import pytest

from tests.traces.checking.observations import BULK, BULK_FLOWS, DIGEST, NAY, PAGE_FLOW, UPLINKS, flow, seen
from traces.checking.counters import Counters
from traces.checking.fetch import Fetched
from traces.checking.judgement import Observed, judge, not_resolved
from traces.checking.subflows import Subflow
from traces.checking.verdict import Finding, Outcome, Verdict

SENTENCE = "the server says MPTCP"
AGREED = "MP_CAPABLE is agreed"
KERNEL = "the guest's kernel counts MPTCP and no fallback"
WHOLE = "the file arrives whole"
WLP1S0, WLAN1 = (f"{name} carries a subflow and data" for name in UPLINKS)
DISPROVED, NOT_PROVEN = Outcome.DISPROVED, Outcome.NOT_PROVEN

REFUSED = Fetched(0, "", "", "curl: (7) Failed to connect")
TIMED_OUT = Fetched(0, "", "", "curl: (28) Operation timed out")
UNANSWERED = flow("wlp1s0", 0, agreed=False, answered=False, port=9)
WITHOUT_MPTCP = flow("wlp1s0", 60, agreed=False, port=9)
NEVER_ASKED = flow("wlp1s0", 60, agreed=False, version=None, port=9)


def findings(observed: Observed, sha256: str = DIGEST) -> list[Finding]:
    return list(judge(observed, UPLINKS, sha256))


def failing(observed: Observed, sha256: str = DIGEST) -> dict[str, Outcome]:
    """The claims that are not proven."""
    return {found.claim: found.outcome for found in findings(observed, sha256) if found.outcome is not Outcome.PROVEN}


def evidence(observed: Observed, claim: str) -> str:
    return next(found.evidence for found in findings(observed) if found.claim == claim)


def test_when_all_holds_all_is_proven() -> None:
    assert failing(seen()) == {}
    assert [finding.claim for finding in findings(seen())] == [SENTENCE, AGREED, KERNEL, WHOLE, WLP1S0, WLAN1]


@pytest.mark.parametrize(
    ("page", "outcome"),
    [(Fetched(60, "", NAY), DISPROVED), (Fetched(60, "", "It works!"), NOT_PROVEN), (REFUSED, NOT_PROVEN)],
    ids=["says no", "says nothing", "does not come"],
)
def test_the_servers_sentence(page: Fetched, outcome: Outcome) -> None:
    assert failing(seen(page=page)) == {SENTENCE: outcome}


class TestNothingFetched:
    """Servers that are down, names that lead nowhere: that says nothing of MPTCP."""

    @pytest.mark.parametrize("subflows", [[], [UNANSWERED]], ids=["no SYN seen", "a SYN that nobody answered"])
    def test_nothing_is_disproved(self, subflows: list[Subflow]) -> None:
        nothing = seen(page=REFUSED, bulk=REFUSED, counters=Counters(0, 0, 0), subflows=subflows, most_subflows=0)
        assert failing(nothing) == dict.fromkeys([SENTENCE, AGREED, KERNEL, WHOLE, WLP1S0, WLAN1], NOT_PROVEN)
        assert evidence(nothing, SENTENCE) == REFUSED.error

    def test_a_page_that_says_yes_proves_nothing_by_itself(self) -> None:
        lying = seen(subflows=[], counters=Counters(0, 0, 0))
        assert failing(lying) == dict.fromkeys([AGREED, KERNEL, WLP1S0, WLAN1], NOT_PROVEN)

    def test_a_name_that_leads_nowhere_is_named(self) -> None:
        found = not_resolved("socks", "mptcp.invalid", (4, 6))
        assert (found.claim, found.outcome) == (SENTENCE, NOT_PROVEN)
        assert "IPv4 or IPv6 address of mptcp.invalid" in found.evidence


class TestAgreement:
    @pytest.mark.parametrize("subflow", [WITHOUT_MPTCP, NEVER_ASKED], ids=["refused", "never asked"])
    def test_one_connection_that_is_plain_tcp_disproves_it(self, subflow: Subflow) -> None:
        observed = seen(subflows=[PAGE_FLOW, *BULK_FLOWS, subflow])
        assert failing(observed) == {AGREED: DISPROVED}
        assert "2 of 3" in evidence(observed, AGREED)
        assert "port 9 to 198.51.100.8 port 80 over wlp1s0" in evidence(observed, AGREED)

    def test_one_that_nobody_answered_leaves_it_open(self) -> None:
        observed = seen(subflows=[PAGE_FLOW, *BULK_FLOWS, UNANSWERED])
        assert failing(observed) == {AGREED: NOT_PROVEN}
        assert "2 of 3 connections agreed to MPTCP; the others were not answered" in evidence(observed, AGREED)

    def test_many_plain_connections_are_not_all_named(self) -> None:
        plain = [flow("wlan1", 60, version=None, agreed=False, port=number) for number in range(20)]
        assert evidence(seen(subflows=plain), AGREED).endswith("port 2 to 198.51.100.8 port 80 over wlan1 …")


class TestTheKernelsCounters:
    """They are the whole guest's: others may use it meanwhile."""

    def test_fallbacks_elsewhere_leave_it_open(self) -> None:
        observed = seen(counters=Counters(5, 1, 2))
        assert failing(observed) == {KERNEL: NOT_PROVEN}
        assert "others of the guest" in evidence(observed, KERNEL)

    @pytest.mark.parametrize("plain", [WITHOUT_MPTCP, flow("wlan1", 0, joins="0000bbbb", agreed=False)])
    def test_together_with_a_plain_connection_they_disprove_it(self, plain: Subflow) -> None:
        observed = seen(counters=Counters(2, 1, 1), subflows=[PAGE_FLOW, *BULK_FLOWS, plain])
        assert failing(observed)[KERNEL] is DISPROVED
        assert "others of the guest" not in evidence(observed, KERNEL)

    @pytest.mark.parametrize(("subflows", "outcome"), [([PAGE_FLOW], NOT_PROVEN), ([NEVER_ASKED], DISPROVED)])
    def test_a_kernel_that_counted_nothing(self, subflows: list[Subflow], outcome: Outcome) -> None:
        assert failing(seen(counters=Counters(0, 0, 0), subflows=subflows))[KERNEL] is outcome


class TestTheFile:
    def test_another_digest_disproves_it(self) -> None:
        other = Fetched(4000, hashlib.sha256(b"other").hexdigest(), "")
        assert failing(seen(bulk=other)) == {WHOLE: DISPROVED}

    def test_one_that_takes_too_long_is_still_judged_by_its_captures(self) -> None:
        assert failing(seen(bulk=TIMED_OUT)) == {WHOLE: NOT_PROVEN}
        assert failing(seen(bulk=TIMED_OUT, subflows=BULK_FLOWS[:1])) == {WHOLE: NOT_PROVEN, WLAN1: DISPROVED}

    @pytest.mark.parametrize("sha256", ["", DIGEST.upper()], ids=["not known", "in capitals"])
    def test_however_the_digest_is_given(self, sha256: str) -> None:
        assert failing(seen(), sha256) == {}

    def test_without_one_nothing_is_proven_of_the_uplinks(self) -> None:
        assert failing(seen(bulk=None, subflows=[PAGE_FLOW])) == {"every uplink carries a subflow and data": NOT_PROVEN}


class TestUplinks:
    @pytest.mark.parametrize(
        "others",
        [
            [],
            [flow("wlan1", 0, joins="0000bbbb", port=3)],
            [flow("wlan1", 0, joins="0000bbbb", port=3, agreed=False, answered=False)],
            [flow("wlan1", 1000, joins="0000cccc", port=3)],
        ],
        ids=["no subflow", "no data", "a join that nobody answers", "another connection's"],
    )
    @pytest.mark.parametrize(
        ("octets", "outcome"), [(len(BULK), DISPROVED), (50_000, NOT_PROVEN)], ids=["large", "small"]
    )
    def test_only_a_large_file_shows_that_one_is_left_out(
        self, others: list[Subflow], octets: int, outcome: Outcome
    ) -> None:
        one = flow("wlp1s0", octets, token="0000bbbb", port=2)
        observed = seen(subflows=[one, *others])
        assert failing(observed) == {WLAN1: outcome}
        assert ("would tell" in evidence(observed, WLAN1)) is (outcome is NOT_PROVEN)

    def test_a_refused_join_shows_it_of_any_file(self) -> None:
        refused = flow("wlan1", 0, joins="0000bbbb", port=3, agreed=False)
        observed = seen(subflows=[flow("wlp1s0", 1000, token="0000bbbb", port=2), refused])
        assert failing(observed) == {WLAN1: DISPROVED}
        assert "MP_JOIN was answered without MPTCP: port 3" in evidence(observed, WLAN1)

    def test_a_large_file_over_plain_tcp_used_none(self) -> None:
        observed = seen(subflows=[flow("wlp1s0", len(BULK), version=None, agreed=False)])
        assert failing(observed) == {AGREED: DISPROVED, WLP1S0: DISPROVED, WLAN1: DISPROVED}


def test_a_server_without_mptcp_is_disproved_all_in_all() -> None:
    plain = seen(page=Fetched(60, "", NAY), bulk=None, counters=Counters(0, 0, 1), subflows=[WITHOUT_MPTCP])
    assert Verdict(tuple(findings(plain)), (), "").outcome is DISPROVED
