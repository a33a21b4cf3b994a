"""The plan as text for ip, tc, sysctl, nft and dnsmasq."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, IPv6Interface

import pytest

from lab.testbed import render
from lab.testbed.model import Device, Link, Namespace, Role, Route, Topology
from lab.testbed.routing import static_routes
from lab.testbed.settings import IspSettings, TestbedSettings
from lab.testbed.topology import topology

PLAN = topology(TestbedSettings(prefix="lab"))


def namespace(name: str, plan: Topology = PLAN) -> Namespace:
    return next(found for found in plan.namespaces if found.name == name)


def test_the_lab_host_gets_both_uplinks() -> None:
    assert render.namespace_batch(PLAN, namespace("lab-lab")) == (
        "link set dev lo up\n"
        "address add 192.168.1.100/24 dev wlp1s0\n"
        "link set dev wlp1s0 up\n"
        "address add 100.64.1.100/24 dev wlan1\n"
        "link set dev wlan1 up\n"
        "route add default via 192.168.1.1 dev wlp1s0 metric 600\n"
        "route add default via 100.64.1.1 dev wlan1 metric 700\n"
    )


def test_a_router_lists_only_what_its_default_route_does_not_reach() -> None:
    assert render.namespace_batch(PLAN, namespace("lab-core6")).splitlines()[-2:] == [
        "route add 198.51.100.0/24 via 198.18.0.11 dev to-core7",
        "route add default via 198.18.0.8 dev to-core5",
    ]


def test_links_are_made_where_they_belong_and_never_show_on_the_host() -> None:
    lines = render.links_batch(PLAN).splitlines()
    assert lines[0] == "link add wlp1s0 netns lab-lab type veth peer name to-lab netns lab-fixed1"
    assert len(lines) == len(PLAN.links)
    assert all(line.count(" netns ") == 2 for line in lines)


def test_only_the_mptcp_servers_accept_joins() -> None:
    accepting = [n.name for n in PLAN.namespaces if "mptcp limits set subflows 8" in render.namespace_batch(PLAN, n)]
    enabled = [n.name for n in PLAN.namespaces if "net.mptcp.enabled = 1\n" in render.sysctls(n)]
    assert accepting == enabled == ["lab-web", "lab-far"]


def test_only_routers_forward() -> None:
    for found in PLAN.namespaces:
        assert ("ip_forward = 1" in render.sysctls(found)) == (found.role is Role.ROUTER)


def test_all_but_the_lab_host_answer_every_probe() -> None:
    limited = [found.name for found in PLAN.namespaces if "icmp_ratemask = 0" not in render.sysctls(found)]
    assert limited == ["lab-lab"]


def test_a_rate_becomes_a_bucket_of_5_ms_and_a_queue_of_60_ms() -> None:
    assert render.shapes_batch(PLAN, namespace("lab-fixed2")) == (
        "qdisc add dev to-fixed1 root tbf rate 40000000bit burst 25000 limit 300000\n"
        "qdisc add dev to-fixed3 root netem delay 5ms limit 10000\n"
    )
    assert render.shapes_batch(PLAN, namespace("lab-core1")) == ""


def test_a_slow_line_keeps_room_for_ten_frames_and_one_large_segment() -> None:
    slow = IspSettings(down=64_000, up=64_000, delay=0, routers=4)
    plan = topology(TestbedSettings(prefix="lab", fixed=slow))
    assert "rate 64000bit burst 15140 limit 65536" in render.shapes_batch(plan, namespace("lab-fixed2", plan))


def test_translation_is_behind_the_outside_device_and_nowhere_else() -> None:
    assert 'oifname "to-mobile7" masquerade' in render.ruleset(namespace("lab-mobile6"))
    assert 'oifname "to-fixed2" masquerade' in render.ruleset(namespace("lab-fixed1"))
    assert len([found for found in PLAN.namespaces if render.ruleset(found)]) == 2


def test_silence_drops_time_exceeded_of_others_and_of_its_own() -> None:
    rules = render.ruleset(replace(namespace("lab-mobile1"), icmp_silent=True))
    assert rules.count("icmp type time-exceeded drop") == 2
    assert "masquerade" not in rules


def test_the_dns_knows_servers_and_routers_and_asks_nobody() -> None:
    lines = render.dnsmasq_configuration(PLAN).splitlines()
    assert {"no-resolv", "no-hosts", "local=/#/", "listen-address=192.0.2.10"} <= set(lines)
    assert "host-record=far.mptcp.test,198.51.100.10" in lines
    assert "host-record=mobile5.test,100.65.0.7" in lines
    assert not [line for line in lines if line.startswith("server=")]


@pytest.fixture
def ipv6_chain() -> Topology:
    """host - router - server, with IPv6 addresses only."""

    def link(left: str, right: str, number: int) -> Link:
        ends = (IPv6Interface(f"2001:db8:{number}::{host}/64") for host in (1, 2))
        return Link(Device(left, f"to-{right}", (next(ends),)), Device(right, f"to-{left}", (next(ends),)))

    namespaces = (Namespace("host", Role.LAB), Namespace("router", Role.ROUTER), Namespace("server", Role.SERVER))
    links = (link("host", "router", 1), link("router", "server", 2))
    return Topology(namespaces, links, lab="host", box="", dns=IPv6Address("2001:db8:2::2"), names=())


def test_nothing_in_routing_or_rendering_bars_ipv6(ipv6_chain: Topology) -> None:
    routes = static_routes(ipv6_chain.namespaces, ipv6_chain.links, root="router")
    assert routes["host"] == (Route(None, IPv6Address("2001:db8:1::2"), "to-router"),)
    assert routes["router"] == ()
    server = replace(ipv6_chain.namespaces[2], routes=routes["server"])
    assert render.namespace_batch(ipv6_chain, server).splitlines()[1:] == [
        "address add 2001:db8:2::2/64 dev to-router",
        "link set dev to-router up",
        "route add default via 2001:db8:2::1 dev to-router",
    ]
