"""The emulated internet as it really stands: hops, names, rates."""

from __future__ import annotations

import pytest

from lab.runner import Runner
from lab.testbed.build import exec_prefix
from lab.testbed.model import Topology
from tests.lab.testbed.inside import connect, fetch, hop, syn_ack_ttl

pytestmark = [pytest.mark.netns, pytest.mark.slow]


@pytest.mark.parametrize(
    ("name", "ttl"), [("mptcp.test", 51), ("plain.test", 51), ("far.mptcp.test", 49)]
)  # fmt: skip
def test_a_syn_ack_reaches_the_mobile_uplink_with_the_ttl_of_the_origins_traces(
    testbed: Topology, name: str, ttl: int
) -> None:
    assert syn_ack_ttl(testbed.lab, "wlan1", testbed.address_of(name)) == ttl


def test_the_fixed_line_is_shorter(testbed: Topology) -> None:
    assert syn_ack_ttl(testbed.lab, "wlp1s0", testbed.address_of("mptcp.test")) == 64 - 9


def test_a_trace_through_the_mobile_isp_shows_thirteen_routers_and_then_the_server(testbed: Topology) -> None:
    server = testbed.address_of("mptcp.test")
    hops = [hop(testbed.lab, "wlan1", server, ttl) for ttl in range(1, 15)]
    assert [found and found[0] for found in hops] == ["time-exceeded"] * 13 + ["port-unreachable"]
    assert len(set(hops)) == 14
    assert hops[-1] == ("port-unreachable", str(server))


def test_every_probe_is_answered_however_fast_they_come(testbed: Topology) -> None:
    server = testbed.address_of("mptcp.test")
    assert all(hop(testbed.lab, "wlan1", server, ttl=9) for _ in range(200))


def test_the_servers_see_the_translators_and_never_the_lab_host(testbed: Topology) -> None:
    seen = {}
    for uplink in ("wlp1s0", "wlan1"):
        with connect(testbed.lab, testbed.address_of("plain.test"), uplink=uplink) as stream:
            seen[uplink] = fetch(stream, "/connection.json").data["client"]
    assert seen == {"wlp1s0": "198.18.1.0", "wlan1": "198.18.2.0"}


def test_names_resolve_on_the_lab_host(testbed: Topology, runner: Runner) -> None:
    lab = runner.inside(*exec_prefix(testbed.lab))
    for name in ("mptcp.test", "far.mptcp.test", "plain.test", "mobile5.test"):
        found = {line.split()[0] for line in lab.read("getent", "ahostsv4", name).splitlines()}
        assert found == {str(address) for known, address in testbed.names if known == name}


def test_a_name_of_the_real_internet_does_not_exist(testbed: Topology, runner: Runner) -> None:
    lab = runner.inside(*exec_prefix(testbed.lab))
    assert lab.probe("getent", "ahostsv4", "www.example.com").exit_code == 2


def test_an_address_that_nobody_has_is_unreachable_and_does_not_circle(testbed: Topology) -> None:
    answer = hop(testbed.lab, "wlan1", "192.0.0.8", ttl=64)
    assert answer
    assert answer[0] == "net-unreachable"
    assert answer[1] in {str(address) for name, address in testbed.names if name == "core1.test"}


@pytest.mark.parametrize(
    ("uplink", "router", "device", "bits"),
    [("wlp1s0", "fixed2", "to-fixed1", 40_000_000), ("wlan1", "mobile1", "to-lab", 24_000_000)],
)
def test_what_comes_down_an_uplink_passes_its_rate(
    testbed: Topology, runner: Runner, uplink: str, router: str, device: str, bits: int
) -> None:
    def octets() -> int:
        namespace = testbed.lab.replace("-lab", f"-{router}")
        [qdisc] = runner.read_json("tc", "-n", namespace, "-s", "-j", "qdisc", "show", "dev", device)
        assert (qdisc["kind"], qdisc["options"]["rate"] * 8) == ("tbf", bits)
        return int(qdisc["bytes"])

    before = octets()
    with connect(testbed.lab, testbed.address_of("mptcp.test"), uplink=uplink) as stream:
        assert len(fetch(stream, "/bytes/1M").body) == 1_000_000
    assert octets() - before > 1_000_000
