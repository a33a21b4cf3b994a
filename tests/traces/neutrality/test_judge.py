"""Each kind of network gets its verdict, and none that does not interfere is accused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.traces.neutrality.simulator import MPTCP_ARMS, Box, Network, Simulator
from traces.neutrality.criteria import EQUIVALENCE
from traces.neutrality.judge import judge
from traces.neutrality.model import Answer, Arm, Measurement, Probe, Quote, Target, Transfer
from traces.neutrality.speed import measure_speed
from traces.neutrality.verdict import Kind, Verdict

PLAIN_ARMS = frozenset({Arm.PLAIN, Arm.DUMMY})
V1 = frozenset({Arm.V1})
ALL_ARMS = frozenset(Arm)


def verdicts(*targets: Target) -> list[Verdict]:
    """Of the first target."""
    return list(judge(Measurement("wlan1", 1, targets)).targets[0].verdicts)


def names(*targets: Target) -> list[str]:
    return [str(verdict) for verdict in verdicts(*targets)]


def only(*targets: Target) -> Verdict:
    (verdict,) = verdicts(*targets)
    return verdict


INTERFERING = [
    (Network(box=Box.INTERCEPT, box_arms=PLAIN_ARMS), ["intercepted(plain)@5"]),
    (Network(box=Box.INTERCEPT, box_arms=PLAIN_ARMS, box_ttl=64), ["intercepted(plain)@5"]),
    (Network(box=Box.INTERCEPT, box_arms=frozenset({Arm.PLAIN}), box_hop=13), ["intercepted(plain)@13"]),
    (Network(box=Box.INTERCEPT, box_arms=V1, box_hop=3), ["intercepted(v1)@3"]),
    (Network(box=Box.INTERCEPT, box_arms=MPTCP_ARMS), ["intercepted(v1)@5", "intercepted(v0)@5"]),
    (Network(box=Box.DROP), ["option-syn-dropped", "option-syn-dropped"]),
    (Network(box=Box.DROP, box_hop=14), ["option-syn-dropped", "option-syn-dropped"]),
    (Network(box=Box.RESET, box_arms=V1), ["option-syn-dropped"]),
    (Network(box=Box.DROP, box_arms=frozenset({Arm.DUMMY})), ["option-syn-dropped"]),
    (Network(box=Box.STRIP), ["option-stripped@5"]),
    (Network(box=Box.STRIP, quotes=False), ["option-stripped"]),
    (Network(box=Box.STRIP, quote_options=False), ["option-stripped"]),
    (Network(box=Box.STRIP, server_mptcp=False), ["option-stripped@5"]),
    (Network(mptcp_factor=0.35), ["rate-differentiated"]),
    (Network(mptcp_factor=2.0), ["rate-differentiated"]),
]


class TestNetworksThatInterfere:
    @pytest.mark.parametrize(("network", "expected"), INTERFERING)
    @pytest.mark.parametrize("loss", [0.0, 0.05])
    def test_each_gets_its_verdict(self, network: Network, expected: list[str], loss: float) -> None:
        assert names(Simulator(1).target(replace(network, loss=loss))) == expected

    def test_all_that_happens_is_told(self) -> None:
        network = Network(box=Box.INTERCEPT, box_arms=PLAIN_ARMS, mptcp_factor=0.35)
        assert names(Simulator(1).target(network)) == ["intercepted(plain)@5", "rate-differentiated"]

    def test_every_accusation_by_a_test_has_its_p_value_and_evidence(self) -> None:
        for network, _ in INTERFERING:
            for verdict in verdicts(Simulator(1).target(network)):
                assert verdict.evidence.startswith("consistent with ")
                assert verdict.kind is Kind.OPTION_STRIPPED or (verdict.p_value is not None and verdict.p_value < 0.01)

    def test_the_hop_is_that_on_the_uplink(self) -> None:
        network = Network(box=Box.INTERCEPT, box_arms=PLAIN_ARMS)
        simulator = Simulator(1, ttl_offset=3)
        judged = judge(simulator.measurement(simulator.target(network)))
        assert [str(verdict) for verdict in judged.targets[0].verdicts] == ["intercepted(plain)@5"]

    def test_what_intercepts_is_recognised_by_its_replies_where_the_hop_before_the_server_does_it(self) -> None:
        network = Network(box=Box.INTERCEPT, box_arms=PLAIN_ARMS, box_hop=13, loss=0.2)
        assert names(Simulator(1).target(network)) == ["intercepted(plain)@13"]

    def test_what_is_answered_before_the_routers_that_others_get_to_is_intercepted_though_the_server_is_down(
        self,
    ) -> None:
        network = Network(box=Box.INTERCEPT, box_arms=PLAIN_ARMS)
        target = Simulator(1, ttls=range(1, 12), pairs=0).target(network)
        assert names(target) == ["intercepted(plain)@5"]
        assert "told of by routers up to TTL 11" in only(target).evidence

    def test_without_a_quote_stripping_is_not_told_from_a_box_that_answers_every_syn(self) -> None:
        everything = Network(box=Box.INTERCEPT, box_arms=ALL_ARMS, box_hop=5)
        (verdict, *_) = verdicts(Simulator(1, pairs=0).target(everything))
        assert str(verdict) == "option-stripped"
        assert "ICMP quotes show it whole up to TTL 4" in verdict.evidence
        assert "a box that answers every SYN at TTL 5" in verdict.evidence

    def test_a_box_at_the_targets_door_may_be_the_targets_own(self) -> None:
        said = verdicts(Simulator(1).target(Network(box=Box.DROP, box_hop=14)))
        assert all("its own firewall may be the box" in verdict.evidence for verdict in said)
        nearer = verdicts(Simulator(1).target(Network(box=Box.DROP, box_hop=13)))
        assert not any("its own firewall may be the box" in verdict.evidence for verdict in nearer)

    def test_a_near_control_that_speaks_mptcp_makes_stripping_a_test(self) -> None:
        simulator = Simulator(1)
        near = simulator.target(Network(distance=1), "near", is_near=True)
        stripped = only(simulator.target(Network(box=Box.STRIP)), near)
        assert stripped.p_value is not None
        assert stripped.p_value < 1e-6
        assert "near control" in stripped.evidence

    def test_the_unknown_option_tells_who_is_meant(self) -> None:
        meant = only(Simulator(1).target(Network(box=Box.STRIP)))
        assert "an unknown option is left as it is" in meant.evidence
        everyone = only(Simulator(1).target(Network(box=Box.STRIP, box_arms=ALL_ARMS - {Arm.PLAIN})))
        assert "an unknown option is altered too" in everyone.evidence

    def test_the_same_measurement_gives_the_same_verdict(self) -> None:
        target = Simulator(1).target(Network(mptcp_factor=0.8, spread=0.2))
        assert verdicts(target) == verdicts(target)


HARMLESS = {
    "clean": Network(),
    "clean, no MPTCP": Network(server_mptcp=False),
    "silent routers": Network(quotes=False),
    "few lost": Network(loss=0.02),
    "some lost": Network(loss=0.1),
    "many lost": Network(loss=0.3),
    "paths of different length": Network(lengths=(0, 1, 2), loss=0.05),
    "rates that vary": Network(spread=0.5, loss=0.05),
    "some servers without MPTCP": Network(agreeing=0.5),
    "near": Network(distance=2, loss=0.1),
}


class TestNetworksThatDoNot:
    @pytest.mark.parametrize("network", HARMLESS.values(), ids=HARMLESS)
    def test_are_never_accused(self, network: Network) -> None:
        said = [verdict for seed in range(6) for verdict in verdicts(Simulator(seed).target(network))]
        assert [str(verdict) for verdict in said if verdict.kind.accuses] == []

    @pytest.mark.slow
    @pytest.mark.parametrize("repeats", [2, 5, 10])
    @pytest.mark.parametrize("network", HARMLESS.values(), ids=HARMLESS)
    def test_are_not_accused_of_what_becomes_of_syns_however_often_one_asks(
        self, network: Network, repeats: int
    ) -> None:
        simulators = (Simulator(1000 + seed, repeats=repeats, pairs=0) for seed in range(100))
        said = [verdict for simulator in simulators for verdict in verdicts(simulator.target(network))]
        assert [str(verdict) for verdict in said if verdict.kind.accuses] == []

    @pytest.mark.slow
    @pytest.mark.parametrize("spread", [0.05, 0.3, 0.8])
    def test_are_hardly_ever_accused_of_a_difference_of_rates(self, spread: float) -> None:
        network = Network(spread=spread)
        speeds = [measure_speed(Simulator(seed, ttls=()).target(network).pairs) for seed in range(400)]
        assert sum(speed is not None and speed.differs for speed in speeds) <= 4

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["clean", "clean, no MPTCP", "silent routers", "few lost", "some lost"])
    def test_are_transparent(self, name: str) -> None:
        said = [names(Simulator(seed).target(HARMLESS[name])) for seed in range(100)]
        assert said.count(["transparent"]) >= 98

    def test_transparent_means_that_the_rates_are_shown_to_be_equivalent(self) -> None:
        verdict = only(Simulator(1).target(Network()))
        assert "equivalent within a factor of 1.25" in verdict.evidence
        assert verdict.p_value is not None
        assert verdict.p_value < 0.05

    @pytest.mark.parametrize(("stalled", "equal"), [(0, True), (1, True), (8, False)])
    def test_transfers_that_stall_with_mptcp_again_and_again_are_not_called_equal(
        self, stalled: int, equal: bool
    ) -> None:
        target = Simulator(1, pairs=40).target(Network())
        pairs = [
            (plain, replace(mptcp, seconds=mptcp.seconds * (10 if number < stalled else 1)))
            for number, (plain, mptcp) in enumerate(target.pairs)
        ]
        speed = measure_speed(pairs)
        assert speed is not None
        assert speed.equivalence_p < EQUIVALENCE  # by itself it sees none of them
        assert speed.is_equal == equal

    def test_without_transfers_it_is_said_that_speed_was_not_compared(self) -> None:
        verdict = only(Simulator(1, pairs=0).target(Network()))
        assert str(verdict) == "transparent"
        assert "speed was not compared" in verdict.evidence


def probes(answer: Answer, count: int = 5) -> tuple[Probe, ...]:
    return tuple(Probe(arm, 64, answer, None) for arm in Arm for _ in range(count))


def with_pairs(target: Target, pairs: Sequence[tuple[Transfer, Transfer]]) -> Target:
    return replace(target, pairs=tuple(pairs))


class TestWhatCannotBeTold:
    @pytest.mark.parametrize(
        ("target", "reason"),
        [
            (Target("x", True, False, (), ()), "no SYN was sent"),
            (Target("x", True, False, probes(Answer.NONE), ()), "does not answer"),
            (Target("x", True, False, probes(Answer.TIME_EXCEEDED), ()), "does not answer"),
            (Target("x", True, False, probes(Answer.RST), ()), "is the port open?"),
            (Simulator(1, repeats=1, ttls=(64,)).target(Network()), "too few answers"),
            (Simulator(1).target(Network(), speaks_mptcp=None, is_near=False), None),
            (Simulator(1, pairs=0).target(Network(server_mptcp=False), speaks_mptcp=None), "known to speak it"),
            (Simulator(1).target(Network(agreeing=0.5)), "only some SYN-ACKs have MP_CAPABLE"),
            (Simulator(1).target(Network(spread=0.8)), "the rates vary too much"),
            (Simulator(1, pairs=5).target(Network()), "5 whole pairs of transfers, 9 are needed"),
        ],
    )
    def test_has_a_reason_to_act_on(self, target: Target, reason: str | None) -> None:
        verdict = only(target)
        if reason is None:
            assert verdict.kind is Kind.TRANSPARENT
        else:
            assert verdict.kind is Kind.INCONCLUSIVE
            assert reason in verdict.reason

    def test_transfers_without_mptcp_are_not_compared(self) -> None:
        target = Simulator(1).target(Network(mptcp_factor=0.35))
        half = [(plain, replace(mptcp, agreed=number % 2 == 0)) for number, (plain, mptcp) in enumerate(target.pairs)]
        verdict = only(with_pairs(target, half))
        assert verdict.reason == "not every transfer was with MPTCP"
        assert "5 of 10" in verdict.evidence

    def test_transfers_that_break_off_are_not_compared(self) -> None:
        target = Simulator(1).target(Network())
        why = "the server says 'HTTP/1.1 404 Not Found'"
        broken = [
            (replace(plain, complete=False, failure=why), replace(mptcp, complete=False, failure=why))
            for plain, mptcp in target.pairs
        ]
        verdict = only(with_pairs(target, broken))
        assert "no transfer ended whole" in verdict.reason
        assert verdict.evidence == f"20 times: {why}"

    def test_a_path_on_which_only_transfers_with_mptcp_break_off_is_told_from_a_file_that_is_missing(self) -> None:
        target = Simulator(1).target(Network())
        broken = [(plain, replace(mptcp, complete=False)) for plain, mptcp in target.pairs]
        assert "plain TCP transfers end whole" in only(with_pairs(target, broken)).reason

    def test_what_the_near_control_meets_too_is_the_hosts_own_doing(self) -> None:
        simulator = Simulator(1)
        near = simulator.target(Network(distance=3, box=Box.DROP, box_hop=1), "near", is_near=True)
        far = simulator.target(Network(box=Box.DROP, box_hop=1))
        assert {verdict.kind for verdict in verdicts(far, near)} == {Kind.INCONCLUSIVE}
        assert all("look for a firewall on this host" in verdict.reason for verdict in verdicts(far, near))

    def test_a_host_that_is_slow_with_mptcp_is_not_the_network(self) -> None:
        simulator = Simulator(1)
        near = simulator.target(Network(distance=1, mptcp_factor=0.6), "near", is_near=True)
        far = simulator.target(Network(mptcp_factor=0.6))
        assert "this host limits it" in only(far, near).reason

    @pytest.mark.parametrize("factor", [0.5, 2.0])
    def test_a_near_control_that_is_slower_than_the_network_says_nothing_of_the_host(self, factor: float) -> None:
        simulator = Simulator(1)
        far = simulator.target(Network(rate=30e6, mptcp_factor=factor))
        slow = simulator.target(Network(distance=1), "near", is_near=True)
        assert "perhaps this host limits it" in only(far, slow).reason
        fast = simulator.target(Network(distance=1, rate=60e6), "near", is_near=True)
        assert names(far, fast) == ["rate-differentiated"]
        assert "near control" in only(far, fast).evidence

    def test_a_network_that_is_slower_still_is_told_from_the_host(self) -> None:
        simulator = Simulator(1)
        near = simulator.target(Network(distance=1, mptcp_factor=0.7), "near", is_near=True)
        far = simulator.target(Network(mptcp_factor=0.3))
        assert names(far, near) == ["rate-differentiated"]

    def test_a_server_that_answers_with_syn_cookies_is_not_taken_for_a_box(self) -> None:
        target = Simulator(1, pairs=0).target(Network(server_mptcp=False), speaks_mptcp=True)
        bare = tuple(
            replace(probe, reply=replace(probe.reply, options=(2,), scale=None, timestamps=False))
            if probe.reply
            else probe
            for probe in target.probes
        )
        assert "as with SYN cookies" in only(replace(target, probes=bare)).reason

    @pytest.mark.parametrize(
        ("redirect", "is_portal"),
        [
            ("http://login.portal.test/?from=mptcp.test", True),
            ("https://mptcp.test/large", False),
            ("/elsewhere", False),
            ("http://[bad", False),
            ("", False),
        ],
    )
    def test_a_captive_portal_is_not_taken_for_a_box_that_strips(self, redirect: str, is_portal: bool) -> None:
        target = Simulator(1, pairs=2).target(Network(box=Box.INTERCEPT, box_arms=ALL_ARMS, box_hop=1), "mptcp.test:80")
        why = "the server says 'HTTP/1.1 302 Found'"
        pairs = [
            (
                replace(plain, complete=False, failure=why, redirect=redirect),
                replace(mptcp, complete=False, failure=why, redirect=redirect),
            )
            for plain, mptcp in target.pairs
        ]
        verdict, *_ = verdicts(with_pairs(target, pairs))
        assert ("captive portal" in verdict.reason) == is_portal
        assert (verdict.kind is Kind.OPTION_STRIPPED) != is_portal
        assert f"4 times: {why}" in verdict.evidence
        assert redirect in verdict.evidence

    def test_a_router_whose_quotes_are_garbage_is_not_believed_however_often_it_says_so(self) -> None:
        target = Simulator(1, pairs=0).target(Network(server_mptcp=False))
        garbage = tuple(f"option {kind}" for kind in (2, 4, 8, 3, 30))
        last = tuple(
            replace(probe, quote=replace(probe.quote, changed=garbage)) if probe.quote and probe.ttl == 14 else probe
            for probe in target.probes
        )
        assert sum(probe.quote is not None and probe.quote.changed == garbage for probe in last) == 20
        assert names(replace(target, probes=last)) == ["transparent"]

    def test_one_router_that_quotes_badly_is_not_believed(self) -> None:
        target = Simulator(1, pairs=0).target(Network(server_mptcp=False))
        odd = Probe(Arm.V1, 14, Answer.TIME_EXCEEDED, 0.01, quote=Quote("198.18.0.14", ("option 30",), True))
        assert names(replace(target, probes=(*target.probes, odd))) == ["transparent"]

    def test_other_fields_that_change_are_no_stripping(self) -> None:
        target = Simulator(1).target(Network(server_mptcp=False))
        clamped = tuple(
            replace(probe, quote=replace(probe.quote, changed=("option 2",))) if probe.quote else probe
            for probe in target.probes
        )
        assert names(replace(target, probes=clamped)) == ["transparent"]
