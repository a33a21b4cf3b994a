"""`--dry check-mptcp` beside a lab that stands; the check itself is tested end to end, with a guest."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.config import Config
from invoke.context import Context

from lab.context import Lab
from lab.host_network import configure_tap, routing_scope
from lab.plan import tap_plans
from lab.runner import Runner
from lab.steps import Route
from tests.conftest import lab_on, namespace_name
from tests.lab.host_state import network_state
from traces.checking.check import rehearse
from traces.checking.request import make_request

pytestmark = pytest.mark.netns

URLS = {"page_url": "http://203.0.113.10/", "bulk_url": "http://203.0.113.11/bytes/20M"}


@pytest.fixture
def lab(netns: Runner, tmp_path: Path) -> Lab:
    """A lab with two uplinks on which nobody answers, and a dry run."""
    standing = lab_on(netns, tmp_path)
    for plan, name in zip(tap_plans(2), ("wlp1s0", "wlan1"), strict=True):
        netns.change("ip", "link", "add", name, "type", "veth")
        netns.change("ip", "link", "set", "dev", name, "up")
        configure_tap(standing.journal, plan)
        route = Route(4, str(plan.table), "default", ("dev", name))
        standing.journal.apply(route, routing_scope(plan))
    dry = Runner(
        Context(Config(overrides={"run": {"dry": True}})), prefix=("ip", "netns", "exec", namespace_name(netns))
    )
    return lab_on(dry, tmp_path)


def test_all_that_would_be_done_is_printed(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    rehearse(lab, make_request(lab, URLS))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("ip netns exec")]
    told = [line.split(maxsplit=4)[4] for line in lines]
    routes = [line for line in told if line.startswith("ip ")]
    assert routes == [
        "ip -4 route add 203.0.113.10/32 via 10.66.6.2 table main",
        "ip -4 route add 203.0.113.11/32 via 10.66.6.2 table main",
    ]
    fetches = [line.split()[-1] for line in told if line.startswith("curl --disable ")]
    assert fetches == [*URLS.values()] * 2


def test_captures_are_begun_and_ended_on_every_uplink(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    rehearse(lab, make_request(lab, URLS))
    printed = capsys.readouterr().out
    assert printed.count("setsid tcpdump") == printed.count("kill -INT") == 4
    for way in ("socks", "routed"):
        for name in ("wlp1s0", "wlan1"):
            assert f"' sh {name} {lab.state}/check/{way}/{name}.pcap '(tcp and port 80 and" in printed


def test_nothing_is_done_and_nothing_is_read(lab: Lab) -> None:
    left = lab.state / "check" / "socks" / "wlan1.pcap"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"no capture")
    before, entries = network_state(lab.host), lab.journal.entries()
    rehearse(lab, make_request(lab, URLS))
    assert network_state(lab.host) == before
    assert lab.journal.entries() == entries
    assert left.read_bytes() == b"no capture"
    assert not (lab.state / "check" / "routed").exists()


def test_a_server_that_is_not_known_is_named(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    rehearse(lab, make_request(lab, {"page_url": "http://[2001:db8::10]/"}))
    assert capsys.readouterr().out.startswith("# no address of 2001:db8::10 is known here")
