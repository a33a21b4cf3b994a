"""An uplink that goes down and comes back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab_e2e.cli import Cli, succeeded

pytestmark = [pytest.mark.vm, pytest.mark.netns]

GATEWAYS = {"wlp1s0": ("192.168.1.1", 0, "600"), "wlan1": ("100.64.1.1", 1, "700")}


def restore_uplink(cli: Cli, name: str) -> None:
    """Bring an uplink back, as a network manager would, and have the lab's own route put back."""
    gateway, n, metric = GATEWAYS[name]
    succeeded(cli.inside("ip", "link", "set", "dev", name, "up"))
    succeeded(cli.inside("ip", "route", "replace", "default", "via", gateway, "dev", name, "metric", metric))
    succeeded(cli.invoke_inside("configure-host-source-routing", str(n), name))


def test_the_route_of_a_lost_uplink_is_named_and_renewed(cli: Cli, lab: dict[str, Any]) -> None:
    succeeded(cli.inside("ip", "link", "set", "dev", "wlan1", "down"))
    try:
        gone = [step["subject"] for step in cli.json_inside("status")["steps"] if not step["stands"]]
        refused = cli.inside("ip", "route", "get", "192.0.2.10", "from", "10.66.7.2", "iif", "mptcp1")
    finally:
        restore_uplink(cli, "wlan1")
    assert gone == ["route default in table 666"]
    # Not over the other uplink, whose NAT does not know that address.
    assert refused.returncode != 0
    assert all(step["stands"] for step in cli.json_inside("status")["steps"])
