"""What a unit forbids really fails in the guest: a kernel without a feature leaves its directive silently out."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from tests.guest.sandbox_checks import CHECKS, SandboxCheck
from tests.lab_e2e.cli import Cli, succeeded

pytestmark = [pytest.mark.vm, pytest.mark.netns]

UNITS = "/run/systemd/system"


def script(checks: tuple[SandboxCheck, ...]) -> str:
    """Runs every check without and with its directives, and prints `NUMBER EXIT-WITHOUT EXIT-WITH` for each."""
    lines = []
    for number, check in enumerate(checks):
        for sandboxed in (0, 1):
            unit = shlex.quote(check.unit(sandboxed=bool(sandboxed)))
            lines.append(f"printf %s {unit} > {UNITS}/{unit_name(number, sandboxed)}")
    lines.append("systemctl daemon-reload")
    for number, check in enumerate(checks):
        lines.append(f"{check.prepare} >/dev/null 2>&1; printf '{number}'")
        for sandboxed in (0, 1):
            lines.append(f"systemctl start {unit_name(number, sandboxed)} >/dev/null 2>&1; printf ' %d' $?")
        lines.append("echo")
    lines.append(f"rm {UNITS}/{unit_name('*', '*')}; systemctl daemon-reload; systemctl reset-failed")
    return "\n".join(lines)


def unit_name(number: int | str, sandboxed: int | str) -> str:
    return f"mpsocks-check-{number}-{sandboxed}.service"


@pytest.fixture(scope="module")
def outcomes(cli: Cli, lab: dict[str, Any]) -> dict[int, tuple[int, int]]:
    printed = succeeded(cli.invoke_inside("ssh-vm", "--command", script(CHECKS))).stdout
    rows = [tuple(map(int, line.split())) for line in printed.splitlines()]
    return {number: (without, with_directives) for number, without, with_directives in rows}


@pytest.mark.parametrize("number", range(len(CHECKS)), ids=[check.name for check in CHECKS])
def test_what_is_forbidden_fails(outcomes: dict[int, tuple[int, int]], number: int) -> None:
    without, with_directives = outcomes[number]
    assert without == 0, f"{CHECKS[number].command} does not work even without {CHECKS[number].directives}"
    assert with_directives != 0, f"{CHECKS[number].command} works in spite of {CHECKS[number].directives}"


@pytest.mark.parametrize("unit", ["mpsocks-proxy", "mpsocks-socksifier"])
def test_our_services_run_confined(cli: Cli, lab: dict[str, Any], unit: str) -> None:
    """The unit's processes are not root's, hold no capability and may gain none."""
    status = f"grep -hE '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/$(systemctl show -P MainPID {unit})/status"
    said = dict(
        line.split(":", 1) for line in succeeded(cli.invoke_inside("ssh-vm", "--command", status)).stdout.splitlines()
    )
    assert said["Uid"].split()[0] != "0"
    assert int(said["CapEff"], 16) == 0
    assert int(said["CapBnd"], 16) == 0
    assert said["NoNewPrivs"].strip() == "1"
    assert said["Seccomp"].strip() == "2"


def test_nothing_but_the_lab_is_listened_to(cli: Cli, lab: dict[str, Any]) -> None:
    """Sockets of the guest: SSH, SOCKS and the socksifier, on its addresses in the lab."""
    listening = succeeded(cli.invoke_inside("ssh-vm", "--command", "ss -H -l -t -n")).stdout
    addresses = {line.split()[3] for line in listening.splitlines()}
    ours = {f"10.66.{6 + n}.2:{port}" for n in (0, 1) for port in (6666, 6667)}
    assert addresses == ours | {"0.0.0.0:22", "[::]:22"}
