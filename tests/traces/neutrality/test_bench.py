"""The benchmark of verdicts: how it counts, and a run of it over every emulated network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from invoke.context import Context

from lab.errors import BadInputError
from lab.runner import Runner
from tests.conftest import lab_on
from tests.traces.neutrality.simulator import Box as SimulatedBox
from tests.traces.neutrality.simulator import Network, Simulator
from traces.neutrality.bench import EXPECTED, INNOCENT, Case, Confusion, Run, boxes_named, run_bench_neutrality
from traces.neutrality.boxes import Box
from traces.neutrality.judge import judge

CLEAN, DROPPING = Network(distance=5), Network(distance=5, box=SimulatedBox.DROP, box_hop=3)
VARYING = Network(distance=5, spread=0.9)


def run(network: Network, seed: int = 1) -> Run:
    simulator = Simulator(seed, ttl_offset=0)
    return Run(judge(simulator.measurement(simulator.target(network, "web:80"))))


def confusion(truth: Box, *runs: Run) -> Confusion:
    return Confusion((Case(truth, runs),))


class TestCounting:
    def test_the_right_verdict_each_time_passes(self) -> None:
        found = confusion(Box.SYN_DROPPING, *[run(DROPPING, seed) for seed in range(3)])
        assert found.exit_code == 0
        assert [line.split() for line in found.lines()] == [
            ["truth", "option-syn-dropped", "right"],
            ["SYN-dropping", "box", "3", "✓", "3", "of", "3"],
        ]

    def test_one_wrong_of_twenty_passes_and_two_do_not(self) -> None:
        right, wrong = run(DROPPING), run(CLEAN)
        assert confusion(Box.SYN_DROPPING, *[right] * 19, wrong).exit_code == 0
        assert confusion(Box.SYN_DROPPING, *[right] * 18, wrong, wrong).exit_code == 1

    @pytest.mark.parametrize("truth", INNOCENT)
    def test_one_false_accusation_of_twenty_fails(self, truth: Box) -> None:
        found = confusion(truth, *[run(CLEAN)] * 19, run(DROPPING))
        assert found.exit_code == 1
        assert "19 of 20, 1 accused" in found.lines()[1]

    def test_a_target_beside_is_not_to_be_accused_either(self) -> None:
        simulator = Simulator(1, ttl_offset=0)
        targets = simulator.target(CLEAN, "web:80"), simulator.target(DROPPING, "plain:80")
        found = confusion(Box.CLEAN, Run(judge(simulator.measurement(*targets))))
        assert found.cases[0].right == 1
        assert found.exit_code == 1

    def test_what_is_inconclusive_is_no_accusation_and_says_why(self) -> None:
        found = confusion(Box.LOSSY, *[run(CLEAN)] * 19, run(VARYING))
        assert found.exit_code == 0
        assert any("1 times inconclusive: the rates vary too much" in line for line in found.lines())

    def test_as_json_it_counts_each_set_of_verdicts(self) -> None:
        told = json.loads(json.dumps(confusion(Box.CLEAN, run(CLEAN), run(DROPPING)).as_json()))
        (case,) = told["cases"]
        assert case["verdicts"] == {"transparent": 1, "option-syn-dropped": 1}
        assert (case["truth"], case["runs"], case["right"], case["accused"]) == ("clean network", 2, 1, 1)
        assert told["passes"] is False
        assert len(case["judgements"]) == 2


class TestOptions:
    def test_networks_are_chosen_by_short_names(self) -> None:
        assert boxes_named("") == tuple(EXPECTED)
        assert boxes_named("clean, syn-dropping") == (Box.CLEAN, Box.SYN_DROPPING)

    def test_names_that_are_none_are_refused(self) -> None:
        with pytest.raises(BadInputError, match="--box is 'dirty'"):
            boxes_named("clean,dirty")


@pytest.mark.netns
@pytest.mark.slow
def test_every_emulated_network_gets_its_verdict(tmp_path: Path) -> None:
    found = run_bench_neutrality(lab_on(Runner(Context()), tmp_path), runs=2)
    print(*found.lines(), sep="\n")
    assert [case.truth for case in found.cases] == list(EXPECTED)
    assert sum(case.accused for case in found.cases) == 0
    assert sum(case.right for case in found.cases) >= 11
