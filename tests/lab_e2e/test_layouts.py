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
