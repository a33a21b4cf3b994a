"""Which probes are sent: enough where it matters, few elsewhere, and an end to it."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from traces.neutrality.model import Answer, Arm, Probe, Quote
from traces.neutrality.prober.plan import FULL_TTL, NEARER_TTLS, ROUNDS, Effort, Shot, lowest_answered, shots


def answered(shot: Shot, distance: dict[Arm, int]) -> Probe:
    reached = shot.ttl >= distance[shot.arm]
    return Probe(shot.arm, shot.ttl, Answer.SYN_ACK if reached else Answer.NONE, 0.01 if reached else None)


def sweep(distance: dict[Arm, int], effort: Effort, loss: float = 0.0) -> list[Probe]:
    """All probes of a path on which each arm is answered from its distance on."""
    chance = random.Random(7)
    done: list[Probe] = []
    for number in range(ROUNDS + 1):
        for shot in shots(effort, done, number, chance):
            lost = chance.random() < loss
            done.append(Probe(shot.arm, shot.ttl, Answer.NONE, None) if lost else answered(shot, distance))
    return done


def sent(probes: list[Probe]) -> Counter[Shot]:
    return Counter(Shot(probe.arm, probe.ttl) for probe in probes)


ALIKE = dict.fromkeys(Arm, 14)
INTERCEPTED = {Arm.PLAIN: 5, Arm.V1: 14, Arm.V0: 14, Arm.DUMMY: 5}


def test_the_first_pass_goes_over_the_nearer_ttls_once_with_every_arm() -> None:
    first = Counter(shots(Effort(), [], 0, random.Random(1)))
    assert first == {Shot(arm, ttl): 1 for arm in Arm for ttl in (*range(1, NEARER_TTLS + 1), FULL_TTL)}


def test_arms_come_in_a_random_order_that_the_seed_decides() -> None:
    orders = [shots(Effort(), [], 0, random.Random(seed)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert len({shot.arm for shot in orders[0][:20]}) == len(Arm)


@pytest.mark.parametrize("distance", [ALIKE, INTERCEPTED])
def test_either_side_of_each_edge_and_the_full_ttl_are_repeated_with_every_arm(distance: dict[Arm, int]) -> None:
    counts = sent(sweep(distance, Effort(repeats=6)))
    edges = {ttl for reached in distance.values() for ttl in (reached - 1, reached)}
    for arm in Arm:
        assert {ttl: counts[Shot(arm, ttl)] for ttl in (*edges, FULL_TTL)} == dict.fromkeys((*edges, FULL_TTL), 6)


def test_elsewhere_one_probe_is_enough() -> None:
    counts = sent(sweep(ALIKE, Effort()))
    assert {ttl for (arm, ttl), count in ((astuple(shot), n) for shot, n in counts.items()) if count > 1} == {
        13, 14, FULL_TTL,
    }  # fmt: skip


def astuple(shot: Shot) -> tuple[Arm, int]:
    return shot.arm, shot.ttl


def test_a_server_farther_away_is_found_and_one_that_is_silent_looked_for_to_the_end() -> None:
    for distance in (dict.fromkeys(Arm, 27), {**ALIKE, Arm.V1: 100}):
        probes = sweep(distance, Effort(max_ttl=30))
        assert max(probe.ttl for probe in probes if probe.ttl != FULL_TTL) == 30
        assert lowest_answered(probes, Arm.PLAIN) == distance[Arm.PLAIN]


def test_loss_does_not_hide_an_edge_nor_keep_it_going_for_ever() -> None:
    probes = sweep(INTERCEPTED, Effort(), loss=0.2)
    assert {arm: lowest_answered(probes, arm) for arm in Arm} == INTERCEPTED
    assert shots(Effort(), probes, ROUNDS, random.Random(1)) == []
    assert len(probes) < 1000


def test_where_quotes_first_show_an_option_changed_is_repeated() -> None:
    def quoted(ttl: int) -> Probe:
        changed = ("option 30",) if ttl >= 4 else ()
        return Probe(Arm.V1, ttl, Answer.TIME_EXCEEDED, 0.01, quote=Quote("192.0.2.1", changed, has_options=True))

    done = [quoted(ttl) for ttl in range(1, 6)]
    asked = Counter(shots(Effort(repeats=5), done, 1, random.Random(1)))
    assert (asked[Shot(Arm.V1, 3)], asked[Shot(Arm.V1, 4)], asked[Shot(Arm.PLAIN, 4)]) == (4, 4, 5)


def test_a_router_that_clamps_the_mss_does_not_hide_where_another_option_is_changed_first() -> None:
    def quoted(ttl: int) -> Probe:
        changed = ("option 2", "option 30") if ttl >= 4 else ("option 2",)
        return Probe(Arm.V1, ttl, Answer.TIME_EXCEEDED, 0.01, quote=Quote("192.0.2.1", changed, has_options=True))

    asked = Counter(shots(Effort(repeats=5), [quoted(ttl) for ttl in range(1, 8)], 1, random.Random(1)))
    assert {ttl: asked[Shot(Arm.V1, ttl)] for ttl in range(1, 8)} == {1: 4, 2: 0, 3: 4, 4: 4, 5: 0, 6: 0, 7: 0}
