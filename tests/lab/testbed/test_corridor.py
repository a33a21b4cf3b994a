"""The plan of the short path."""

from __future__ import annotations

import pytest

from lab.testbed import render
from lab.testbed.corridor import CLIENT_DEVICE, corridor, intercepting
from lab.testbed.model import Intercept, Rate, Role, Service, Strip

LINE = Rate(100_000_000)
PLAN = corridor("c", LINE)


def test_everything_has_the_prefix_and_devices_have_names_that_the_kernel_takes() -> None:
    assert all(name.startswith("c-") for name in PLAN.namespace_names)
    assert all(len(device.name) <= 15 for link in PLAN.links for device, _ in link.ends)


def test_each_link_has_addresses_of_its_own() -> None:
    networks = [network for link in PLAN.links for network in link.networks]
    assert len(set(networks)) == len(PLAN.links)
    for link in PLAN.links:
        assert link.left.addresses[0].network == link.right.addresses[0].network


def test_the_client_reaches_all_three_servers_by_its_one_device() -> None:
    [client] = [namespace for namespace in PLAN.namespaces if namespace.role is Role.LAB]
    assert PLAN.lab == client.name
    assert [(route.destination, route.device) for route in client.routes] == [(None, CLIENT_DEVICE)]
    assert dict(PLAN.names).keys() == {"near", "web", "plain"}


def test_one_of_the_servers_does_not_speak_mptcp() -> None:
    services = {namespace.name: namespace.service for namespace in PLAN.namespaces if namespace.service}
    assert services == {
        "c-near": Service.MPTCP_WEB,
        "c-web": Service.MPTCP_WEB,
        "c-plain": Service.PLAIN_WEB,
    }


def test_the_rate_is_that_of_the_last_link_to_the_client() -> None:
    shaped = {(device.namespace, device.name): device.egress for link in PLAN.links for device, _ in link.ends}
    assert {at: egress for at, egress in shaped.items() if egress} == {("c-r1", "to-client"): LINE}


@pytest.mark.parametrize("interference", [Strip(), intercepting(LINE)])
def test_what_interferes_is_the_third_router(interference: Strip | Intercept) -> None:
    plan = corridor("c", LINE, interference)
    assert {one.name: one.interference for one in plan.namespaces if one.interference} == {"c-r3": interference}
    assert plan.box == "c-r3"


def test_frames_are_not_bundled_so_that_one_can_be_lost() -> None:
    client = next(namespace for namespace in PLAN.namespaces if namespace.name == PLAN.lab)
    assert f"link set dev {CLIENT_DEVICE} gso_max_segs 1\n" in render.namespace_batch(PLAN, client)
