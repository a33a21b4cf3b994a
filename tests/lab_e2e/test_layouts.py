"""Labs of other shapes than one tap for each of two uplinks."""

from __future__ import annotations

import pytest

from tests.lab_e2e.cli import Cli, succeeded

pytestmark = [pytest.mark.vm, pytest.mark.netns]


def test_a_lab_over_one_uplink_named_twice(cli: Cli) -> None:
    try:
        running = cli.json_inside("boot-socks", "--itf", "wlan1,wlan1", "--detach")
        verdict = cli.json_inside("check-mptcp")
    finally:
        succeeded(cli.invoke_inside("clean"))
    assert running["uplinks"] == {"mptcp0": "wlan1", "mptcp1": "wlan1"}
    assert [(share["name"], share["subflows"]) for share in verdict["shares"]] == [("wlan1", 4)]


def test_a_lab_with_debians_own_kernel(cli: Cli) -> None:
    succeeded(cli.invoke("build-kernel", "--stock"))
    try:
        cli.json_inside("boot-socks", "--itf", "wlp1s0,wlan1", "--stock", "--detach")
        release = succeeded(cli.invoke_inside("ssh-vm", "--command", "uname -r")).stdout.strip()
        verdict = cli.json_inside("check-mptcp")
    finally:
        succeeded(cli.invoke_inside("clean"))
    assert release.endswith("-cloud-amd64")
    assert verdict["outcome"] == "proven"
