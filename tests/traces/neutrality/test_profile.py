"""What probes and pairs add up to, before anything is concluded from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.traces.neutrality.simulator import Network, Simulator
from traces.neutrality.model import Answer, Arm, Probe, Reply, Target, Transfer
from traces.neutrality.profile import Profile, profiles
from traces.neutrality.speed import is_undecided, measure_speed

REPLY = Reply(123, 65160, 1460, 7, (2, 4, 8, 1, 3, 30), True, True)


def profile(*probes: Probe, ttl_offset: int = 1) -> Profile:
    """Of the plain arm."""
    return profiles(Target("x", True, False, probes, ()), ttl_offset)[Arm.PLAIN]


def answered(ttl: int, received: int) -> Probe:
    return Probe(Arm.PLAIN, ttl, Answer.SYN_ACK, 0.01, replace(REPLY, ttl=received))


class TestTtls:
    def test_are_those_on_the_uplink(self) -> None:
        seen = profile(answered(6, 123), answered(64, 123), Probe(Arm.PLAIN, 5, Answer.NONE, None))
        assert (seen.lowest_ttl, seen.reply_ttl, seen.ttl_class, seen.hops) == (5, 124, 128, 5)
        assert [(sweep.ttl, sweep.sent, sweep.answered) for sweep in seen.sweeps] == [(4, 1, 0), (5, 1, 1), (63, 1, 1)]

    @pytest.mark.parametrize(("received", "hops"), [(50, 14), (64, 1), (122, 6), (254, 1), (255, 1)])
    def test_of_replies_tell_how_far_away_what_answers_is(self, received: int, hops: int) -> None:
        assert profile(answered(64, received)).hops == hops

    def test_the_most_frequent_one_of_the_replies_counts(self) -> None:
        seen = profile(answered(64, 50), answered(64, 50), answered(64, 49))
        assert seen.reply_ttls == ((51, 2), (50, 1))
        assert seen.reply_ttl == 51


def test_fingerprints_leave_out_what_the_arm_asked_for() -> None:
    asked, plain = replace(REPLY, options=(2, 4, 8, 1, 3, 30)), replace(REPLY, options=(2, 4, 8, 1, 3))
    one, other = (profile(Probe(Arm.PLAIN, 64, Answer.SYN_ACK, None, reply)) for reply in (asked, plain))
    assert one.fingerprint == other.fingerprint


def test_an_arm_that_was_not_probed_has_no_profile() -> None:
    assert list(profiles(Target("x", True, False, (answered(64, 123),), ()), 1)) == [Arm.PLAIN]


class TestSpeed:
    def test_rates_are_of_whole_pairs_with_mptcp(self) -> None:
        plain, mptcp = Transfer(False, False, 1000, 0.5, True), Transfer(True, True, 1000, 1.0, True)
        broken, refused = replace(mptcp, complete=False), replace(mptcp, agreed=False)
        speed = measure_speed([(plain, mptcp), (plain, broken), (plain, refused)])
        assert speed is not None
        assert (speed.pairs, speed.broken, speed.refused) == (1, 1, 1)
        assert (speed.plain, speed.mptcp, speed.ratio) == pytest.approx((2000, 1000, 0.5))
        assert not speed.is_enough

    def test_pairs_with_a_stall_do_not_move_it(self) -> None:
        target = Simulator(1, pairs=12).target(Network(spread=0.01))
        stalled = [
            (plain, replace(mptcp, seconds=mptcp.seconds * 10) if number < 3 else mptcp)
            for number, (plain, mptcp) in enumerate(target.pairs)
        ]
        speed = measure_speed(stalled)
        assert speed is not None
        assert speed.ratio == pytest.approx(1, abs=0.02)
        assert not speed.differs
        assert not speed.is_equal  # a quarter of them is no accident

    @pytest.mark.parametrize(
        ("network", "pairs", "undecided"),
        [
            (Network(), 10, False),
            (Network(mptcp_factor=0.35), 10, False),
            (Network(spread=0.8), 10, True),
            (Network(), 3, True),
            (Network(server_mptcp=False), 10, False),
        ],
        ids=["equal", "different", "varying", "few", "without MPTCP"],
    )
    def test_more_pairs_are_worth_it_while_nothing_is_shown(
        self, network: Network, pairs: int, undecided: bool
    ) -> None:
        assert is_undecided(Simulator(1, pairs=pairs).target(network).pairs) == undecided
