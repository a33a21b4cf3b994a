"""Killed at any of its steps, a boot leaves what `clean` puts back."""

from __future__ import annotations

import signal

import pytest

from tests.lab_e2e.cli import Cli, succeeded
from tests.lab_e2e.host_state import host_state
from tests.lab_e2e.test_crashes import TASK

pytestmark = [pytest.mark.vm, pytest.mark.netns]


def killed_at(cli: Cli, step: int, when: str) -> bool:
    """Run `boot-socks` until its change number `step`; whether it came that far."""
    driver = ("python", "-m", "tests.lab_e2e.drivers.die_after", str(step), when)
    done = cli.inside(*driver, *TASK)
    # A shell in between says 128 + 9 of what was killed.
    killed = done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    return killed or bool(succeeded(done).returncode)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("when", ["planned", "applied"])
def test_clean_restores_the_host_after_a_kill_at_every_step(cli: Cli, when: str) -> None:
    before = host_state(cli)
    step = 0
    while killed_at(cli, step := step + 1, when):
        succeeded(cli.invoke_inside("clean"))
        assert host_state(cli) == before, f"killed when step {step} was {when}"
    succeeded(cli.invoke_inside("clean"))
    assert host_state(cli) == before
    # Two taps with NAT and routing each, and the guest: fewer steps would mean that they were not counted.
    assert step > 14
