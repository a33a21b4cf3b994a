"""What is to be checked: which servers, at which addresses, by which of the guest's."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from lab.errors import BadInputError, MpsocksError
from lab.host_network import configure_tap
from lab.plan import TapPlan, tap_plan, tap_plans
from lab.runner import Runner
from tests.conftest import lab_on
from traces.checking.fetch import Target
from traces.checking.request import Request, make_request

V4, OTHER_V4, V6 = (ip_address(text) for text in ("203.0.113.10", "203.0.113.11", "2001:db8::10"))
PAGE = Target("http://mptcp.test/", "mptcp.test", 80, (V4, V6))
BULK = Target("https://files.test/20M", "files.test", 443, (V4, OTHER_V4))


def over_ipv6(plan: TapPlan) -> TapPlan:
    return dataclasses.replace(plan, guest=ip_interface(f"fd66:{plan.n}::2/64"))


def request(*plans: TapPlan, page: Target = PAGE, bulk: Target | None = BULK) -> Request:
    uplinks = tuple(zip(plans or tap_plans(2), ("wlp1s0", "wlan1"), strict=False))
    return Request(page, bulk, "", "10.66.6.2:6666", uplinks)


def test_every_address_of_every_server_is_captured() -> None:
    assert request().expression == (
        f"(tcp and port 80 and (host {V4} or host {V6})) or (tcp and port 443 and (host {V4} or host {OTHER_V4}))"
    )
    assert request().endpoints == {(V4, 80), (V6, 80), (V4, 443), (OTHER_V4, 443)}


def test_servers_that_are_the_same_are_captured_once() -> None:
    assert request(bulk=PAGE).expression == f"(tcp and port 80 and (host {V4} or host {V6}))"


def test_tcpdump_understands_the_filter(here: Runner) -> None:
    assert here.read("tcpdump", "-y", "EN10MB", "-d", request().expression)


def test_every_address_is_routed_once_through_the_guest_by_its_family() -> None:
    both = request(tap_plan(0), over_ipv6(tap_plan(1)))
    assert both.addresses == (V4, V6, OTHER_V4)
    assert both.families == (4, 6)
    assert [str(both.gateway(address.version)) for address in both.addresses] == ["10.66.6.2", "fd66:1::2", "10.66.6.2"]


def test_an_uplink_that_is_named_twice_is_captured_once() -> None:
    twice = dataclasses.replace(request(), uplinks=tuple((plan, "wlan1") for plan in tap_plans(2)))
    assert twice.names == ("wlan1",)


def test_a_server_without_an_address_is_named() -> None:
    assert request().unresolved == ""
    assert request(bulk=dataclasses.replace(BULK, addresses=())).unresolved == "files.test"


@pytest.mark.parametrize(("plans", "found"), [(tap_plans(1), ()), ((over_ipv6(tap_plan(0)),), (V6,))])
def test_only_addresses_that_the_taps_can_reach_are_looked_for(
    here: Runner, plans: tuple[TapPlan, ...], found: tuple[object, ...]
) -> None:
    page = Target(f"http://[{V6}]/", str(V6), 80)
    assert request(*plans, page=page, bulk=None).resolved_from(here).addresses == found


@pytest.mark.netns
class TestMaking:
    def test_without_an_uplink_there_is_nothing_to_check(self, netns: Runner, tmp_path: Path) -> None:
        lab = lab_on(netns, tmp_path)
        configure_tap(lab.journal, tap_plan(0))
        with pytest.raises(MpsocksError, match="no uplink is set up") as refused:
            make_request(lab, {})
        assert "boot-socks" in refused.value.hint

    def test_what_is_no_url_is_refused_first(self, netns: Runner, tmp_path: Path) -> None:
        with pytest.raises(BadInputError, match="'files' is not a URL"):
            make_request(lab_on(netns, tmp_path), {"bulk_url": "files"})
