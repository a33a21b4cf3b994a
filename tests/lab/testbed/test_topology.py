"""The plan of the emulated internet, before any of it exists."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from lab.errors import BadInputError
from lab.testbed.build import without_delays
from lab.testbed.model import Delay, Device, Namespace, Rate, Role, Topology
from lab.testbed.settings import IspSettings, TestbedSettings
from lab.testbed.topology import topology

PLAN = topology(TestbedSettings(prefix="lab"))
SERVERS = ("mptcp.test", "plain.test", "far.mptcp.test", "dns.test")


def namespace_of(plan: Topology, name: str) -> Namespace:
    return next(namespace for namespace in plan.namespaces if namespace.name == name)


def both_ways(plan: Topology) -> list[tuple[Device, Device]]:
    return [pair for link in plan.links for pair in link.ends]


def walk(plan: Topology, device: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[str]:
    """The namespaces through which a packet passes that leaves the lab host by `device`, as their routes say."""
    here = plan.lab
    path: list[str] = []
    for _ in range(64):
        local = {d.name: d for d in plan.devices_of(here)}
        if any(address == a.ip for d in local.values() for a in d.addresses):
            return path
        routes = [r for r in namespace_of(plan, here).routes if here != plan.lab or r.device == device]
        direct = [d.name for d in local.values() if any(address in a.network for a in d.addresses)]
        fitting = [r for r in routes if r.destination is None or address in r.destination]
        best = max(fitting, key=lambda r: -1 if r.destination is None else r.destination.prefixlen, default=None)
        out = direct[0] if direct else best.device if best else pytest.fail(f"{here} has no route to {address}")
        here = next(peer.namespace for d, peer in both_ways(plan) if (d.namespace, d.name) == (here, out))
        path.append(here)
    return pytest.fail(f"a loop on the way to {address}: {path}")


@pytest.mark.parametrize(
    ("device", "name", "routers"),
    [
        ("wlan1", "mptcp.test", 13),
        ("wlan1", "plain.test", 13),
        ("wlan1", "far.mptcp.test", 15),
        ("wlp1s0", "mptcp.test", 9),
    ],
)
def test_as_many_routers_as_the_origin_saw_stand_before_a_server(device: str, name: str, routers: int) -> None:
    path = walk(PLAN, device, PLAN.address_of(name))
    assert len(path) == routers + 1
    assert [namespace_of(PLAN, hop).role for hop in path] == [Role.ROUTER] * routers + [Role.SERVER]


def test_the_box_is_the_fifth_router_and_addresses_are_translated_behind_it() -> None:
    path = walk(PLAN, "wlan1", PLAN.address_of("mptcp.test"))
    translators = [hop for hop in path if namespace_of(PLAN, hop).nat_outside]
    assert path.index(PLAN.box) == 4
    assert translators == [path[5]]


@pytest.mark.parametrize("device", ["wlp1s0", "wlan1"])
@pytest.mark.parametrize("name", SERVERS)
def test_every_server_can_answer_the_address_that_translation_gives_the_lab_host(device: str, name: str) -> None:
    path = walk(PLAN, device, PLAN.address_of(name))
    translator = next(namespace_of(PLAN, hop) for hop in path if namespace_of(PLAN, hop).nat_outside)
    outside = next(d for d in PLAN.devices_of(translator.name) if d.name == translator.nat_outside)
    back = _walk_from(path[-1], str(outside.addresses[0].ip))
    assert back == path[path.index(translator.name) : -1][::-1]


def _walk_from(start: str, address: str) -> list[str]:
    moved = replace(PLAN, lab=start)
    device = next(PLAN.devices_of(start)).name
    return walk(moved, device, ipaddress.ip_address(address))


def test_no_route_outside_a_translator_leads_to_what_it_hides() -> None:
    hidden = [ipaddress.ip_network(text) for text in ("192.168.0.0/16", "100.64.0.0/10")]
    core = [namespace for namespace in PLAN.namespaces if "-core" in namespace.name]
    destinations = [route.destination for namespace in core for route in namespace.routes if route.destination]
    assert len(core) == 7
    assert destinations
    assert not [d for d in destinations for h in hidden if isinstance(d, ipaddress.IPv4Network) and d.overlaps(h)]


def test_no_address_collides_with_another_nor_with_the_taps() -> None:
    networks = [network for link in PLAN.links for network in link.networks]
    assert len(networks) == len(set(networks)) == len(PLAN.namespaces)
    taps = ipaddress.IPv4Network("10.66.0.0/16")
    assert not [found for found in networks if isinstance(found, ipaddress.IPv4Network) and found.overlaps(taps)]
    assert not [a for a in networks for b in networks if a is not b and a.network_address in b]


def test_the_lab_host_prefers_the_fixed_line_as_a_laptop_would() -> None:
    routes = namespace_of(PLAN, PLAN.lab).routes
    assert [(route.destination, route.device, route.metric) for route in routes] == [
        (None, "wlp1s0", 600),
        (None, "wlan1", 700),
    ]


def test_the_rates_are_set_inside_the_isps_and_never_on_the_lab_host() -> None:
    shaped = {
        (device.namespace, device.name): device.egress.bits
        for link in PLAN.links
        for device, _ in link.ends
        if isinstance(device.egress, Rate)
    }
    assert shaped == {
        ("lab-fixed2", "to-fixed1"): 40_000_000,
        ("lab-fixed1", "to-fixed2"): 10_000_000,
        ("lab-mobile1", "to-lab"): 24_000_000,
        ("lab-mobile1", "to-mobile2"): 8_000_000,
    }


def test_delays_are_planned_both_ways_and_left_out_for_a_kernel_that_has_none() -> None:
    def delays(plan: Topology) -> list[float]:
        shapes = [device.egress for link in plan.links for device, _ in link.ends]
        return sorted(shape.milliseconds for shape in shapes if isinstance(shape, Delay))

    assert delays(PLAN) == [5, 5, 20, 20]
    assert delays(without_delays(PLAN)) == []
    assert [link.left.name for link in without_delays(PLAN).links] == [link.left.name for link in PLAN.links]


def test_a_longer_internet_is_made_when_it_is_asked_for() -> None:
    mobile = IspSettings(down=1_000_000, up=1_000_000, delay=0, routers=10)
    plan = topology(TestbedSettings(prefix="x", mobile=mobile, core_routers=20, far_routers=9))
    assert len(walk(plan, "wlan1", plan.address_of("far.mptcp.test"))) == 40
    assert all(len(device.name) <= 15 for link in plan.links for device, _ in link.ends)


def test_only_interception_silences_the_mobile_isp() -> None:
    quiet = topology(TestbedSettings(prefix="lab", interception=True))
    assert [namespace.name for namespace in PLAN.namespaces if namespace.icmp_silent] == []
    assert [namespace.name for namespace in quiet.namespaces if namespace.icmp_silent] == ["lab-mobile1"]


def test_the_resolver_of_the_lab_host_is_the_emulated_one() -> None:
    file = PLAN.resolv_conf
    assert str(file.path) == "/etc/netns/lab-lab/resolv.conf"
    assert file.content.startswith(f"nameserver {PLAN.address_of('dns.test')}\n")


USUAL = IspSettings(down=10**6, up=10**6, delay=0, routers=8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prefix": "Lab 1"}, "cannot begin the names"),
        ({"mobile": replace(USUAL, routers=5)}, "5 routers are too few for the mobile part"),
        ({"fixed": replace(USUAL, routers=1)}, "too few for the fixed part"),
        ({"core_routers": 0}, "too few for the core part"),
        ({"core_routers": 54}, "64 routers is too long"),
        ({"fixed": replace(USUAL, down=0)}, "cannot make an uplink of 0 bit/s"),
        ({"mobile": replace(USUAL, delay=-1)}, "-1 ms"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(settings: dict[str, object], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        TestbedSettings(**settings)  # type: ignore[arg-type]
