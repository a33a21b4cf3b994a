"""Status is what the journal says, and whether it is still so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import host_network
from lab.context import Lab
from lab.plan import tap_plans
from lab.runner import Runner
from lab.standing import standing_taps, standing_uplinks, status
from lab.uplinks import Uplink
from tests.conftest import lab_on, namespaces

pytestmark = pytest.mark.netns

FIRST, SECOND = tap_plans(2)


def make_lab(host: Runner, folder: Path) -> Lab:
    """A lab with two taps, the first of which has an uplink."""
    host.change("ip", "link", "add", "wlp1s0", "type", "veth", "peer", "name", "far")
    host.change("ip", "link", "set", "dev", "wlp1s0", "up")
    made = lab_on(host, folder)
    host_network.configure_tap(made.journal, FIRST)
    host_network.configure_tap(made.journal, SECOND)
    host_network.configure_nat(made.journal, FIRST, "wlp1s0")
    host_network.configure_source_routing(made.journal, FIRST, Uplink("wlp1s0", ("dev", "wlp1s0")))
    return made


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """For tests that only look."""
    with namespaces() as make:
        yield make_lab(make(), tmp_path_factory.mktemp("lab"))


def test_taps_and_uplinks_are_found_again(lab: Lab) -> None:
    assert standing_taps(lab) == (FIRST, SECOND)
    assert standing_uplinks(lab) == ((FIRST, "wlp1s0"),)


def test_every_step_is_asked_whether_it_is_in_force(netns: Runner, tmp_path: Path) -> None:
    lab = make_lab(netns, tmp_path)
    assert all(step.stands for step in status(lab).steps)
    lab.host.change("ip", "link", "delete", "dev", "mptcp1")
    gone = [step.subject for step in status(lab).steps if not step.stands]
    assert gone == ["tap mptcp1", "sysctl net/ipv4/conf/mptcp1/forwarding"]


def test_a_person_reads_steps_uplinks_and_guest(lab: Lab) -> None:
    lines = status(lab).lines()
    assert lines[0] == f"✓ {'tap:0':<18} tap mptcp0"
    assert lines[-2:] == ["mptcp0 → wlp1s0", "guest: not running"]


def test_a_machine_reads_the_same(lab: Lab) -> None:
    told = status(lab).as_json()
    assert told["uplinks"] == {0: "wlp1s0"}
    assert told["guest_runs"] is False
    assert {"scope": "tap:0", "subject": "tap mptcp0", "stands": True} in told["steps"]


def test_when_nothing_stands_it_says_so(netns: Runner, tmp_path: Path) -> None:
    lab = make_lab(netns, tmp_path)
    lab.journal.undo()
    assert status(lab).lines() == ["nothing stands"]
    assert standing_taps(lab) == ()
