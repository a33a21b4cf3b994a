"""Each kind of network gets its verdict, and none that does not interfere is accused."""

from __future__ import annotations

import pytest

from tests.traces.neutrality.simulator import MPTCP_ARMS, Box, Network, Simulator
from traces.neutrality.judge import judge
from traces.neutrality.model import Arm, Measurement, Target
from traces.neutrality.verdict import Verdict

PLAIN_ARMS = frozenset({Arm.PLAIN, Arm.DUMMY})


def verdicts(*targets: Target) -> list[Verdict]:
    """Of the first target."""
    return list(judge(Measurement("wlan1", 1, targets)).targets[0].verdicts)


def names(*targets: Target) -> list[str]:
    return [str(verdict) for verdict in verdicts(*targets)]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (Network(), ["transparent"]),
        (Network(server_mptcp=False), ["transparent"]),
        (Network(box=Box.INTERCEPT, box_arms=PLAIN_ARMS), ["intercepted(plain)@5"]),
        (
            Network(box=Box.INTERCEPT, box_arms=PLAIN_ARMS, mptcp_factor=0.35),
            ["intercepted(plain)@5", "rate-differentiated"],
        ),
        (Network(box=Box.INTERCEPT, box_arms=frozenset({Arm.V1}), box_hop=3), ["intercepted(v1)@3"]),
        (Network(box=Box.INTERCEPT, box_arms=MPTCP_ARMS, box_ttl=64), ["intercepted(v1)@5", "intercepted(v0)@5"]),
        (Network(box=Box.DROP), ["option-syn-dropped", "option-syn-dropped"]),
        (Network(box=Box.RESET, box_arms=frozenset({Arm.V1})), ["option-syn-dropped"]),
        (Network(box=Box.DROP, box_arms=frozenset({Arm.DUMMY})), ["option-syn-dropped"]),
        (Network(box=Box.STRIP), ["option-stripped@5"]),
        (Network(box=Box.STRIP, quotes=False), ["option-stripped"]),
        (Network(box=Box.STRIP, server_mptcp=False), ["option-stripped@5"]),
        (Network(mptcp_factor=0.35), ["rate-differentiated"]),
        (Network(mptcp_factor=2.0), ["rate-differentiated"]),
    ],
)
@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_each_network_gets_its_verdict(network: Network, expected: list[str], loss: float) -> None:
    lossy = Network(**{**vars(network), "loss": loss})
    assert names(Simulator(1).target(lossy)) == expected
