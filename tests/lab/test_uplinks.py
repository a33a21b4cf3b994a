"""An uplink is an interface with a way out; what is none is refused with the reason and what to do."""

from __future__ import annotations

import pytest

from lab.errors import BadInputError
from lab.runner import Runner
from lab.uplinks import find_uplink, require_interface, route_path

pytestmark = pytest.mark.netns


@pytest.fixture
def host(netns: Runner) -> Runner:
    """A host with an uplink to an IPv4 and IPv6 gateway, one that is down, and one without an address."""
    commands = (
        "link add wlp1s0 type veth peer name gateway",
        "address add 192.168.1.21/24 dev wlp1s0",
        "address add 2001:db8::21/64 dev wlp1s0",
        "link set dev gateway up",
        "link set dev wlp1s0 up",
        "link add unplugged type veth peer name plug",
        "link add bare type veth peer name peer",
        "link set dev bare up",
    )
    netns.change("ip", "-batch", "-", stdin="\n".join(commands))
    return netns


def routes(host: Runner, *commands: str) -> None:
    host.change("ip", "-batch", "-", stdin="\n".join(f"route add {command}" for command in commands))


class TestTheWayOut:
    def test_a_gateway_is_taken_from_the_default_route(self, host: Runner) -> None:
        routes(host, "default via 192.168.1.1 dev wlp1s0")
        assert find_uplink(host, "wlp1s0").path == ("via", "192.168.1.1", "dev", "wlp1s0")

    def test_of_several_the_preferred_one_counts(self, host: Runner) -> None:
        routes(
            host,
            "default via 192.168.1.9 dev wlp1s0 metric 600",
            "default via 192.168.1.1 dev wlp1s0 metric 100",
            "default dev bare metric 1",
        )
        assert find_uplink(host, "wlp1s0").path == ("via", "192.168.1.1", "dev", "wlp1s0")

    def test_a_route_may_share_its_traffic_between_several_uplinks(self, host: Runner) -> None:
        host.change("ip", "address", "add", "10.9.0.2/24", "dev", "bare")
        shared = "nexthop via 192.168.1.1 dev wlp1s0 weight 1 nexthop via 203.0.113.1 dev bare weight 2 onlink"
        routes(host, f"default {shared}", "default via 10.9.0.1 dev bare metric 600")
        assert find_uplink(host, "wlp1s0").path == ("via", "192.168.1.1", "dev", "wlp1s0")
        assert find_uplink(host, "bare").path == ("via", "203.0.113.1", "dev", "bare", "onlink")
        with pytest.raises(BadInputError, match="peer is down"):
            find_uplink(host, "peer")

    def test_so_it_may_in_ipv6(self, host: Runner) -> None:
        host.change("ip", "address", "add", "2001:db8:9::2/64", "dev", "bare")
        host.change("ip", "link", "set", "dev", "peer", "up")
        routes(host, "default nexthop via 2001:db8::1 dev wlp1s0 nexthop via 2001:db8:9::1 dev bare")
        assert find_uplink(host, "wlp1s0", family=6).path == ("via", "2001:db8::1", "dev", "wlp1s0")
        assert find_uplink(host, "bare", family=6).path == ("via", "2001:db8:9::1", "dev", "bare")

    def test_a_gateway_off_the_links_networks_stays_onlink(self, host: Runner) -> None:
        routes(host, "default via 203.0.113.1 dev wlp1s0 onlink")
        assert find_uplink(host, "wlp1s0").path == ("via", "203.0.113.1", "dev", "wlp1s0", "onlink")

    def test_a_point_to_point_link_has_no_gateway(self, host: Runner) -> None:
        host.change("ip", "tuntap", "add", "dev", "ppp0", "mode", "tun")
        host.change("ip", "link", "set", "dev", "ppp0", "up")
        routes(host, "default dev ppp0")
        assert find_uplink(host, "ppp0").path == ("dev", "ppp0")

    def test_an_ipv4_route_may_lead_through_an_ipv6_gateway(self, host: Runner) -> None:
        host.change("ip", "-4", "route", "add", "default", "via", "inet6", "fe80::1", "dev", "wlp1s0")
        assert find_uplink(host, "wlp1s0").path == ("via", "inet6", "fe80::1", "dev", "wlp1s0")

    def test_ipv6_has_its_own(self, host: Runner) -> None:
        routes(host, "default via 2001:db8::1 dev wlp1s0")
        assert find_uplink(host, "wlp1s0", family=6).path == ("via", "2001:db8::1", "dev", "wlp1s0")

    @pytest.mark.parametrize(
        "way",
        [
            "via 192.168.1.1 dev wlp1s0",
            "dev wlp1s0",
            "via inet6 fe80::1 dev wlp1s0",
            "via 203.0.113.1 dev wlp1s0 onlink",
        ],
    )
    def test_ip_takes_back_the_way_that_it_told(self, host: Runner, way: str) -> None:
        host.change("ip", "-4", "route", "add", "default", *way.split())
        host.change("ip", "-4", "route", "add", "default", *find_uplink(host, "wlp1s0").path, "table", "665")
        (original,) = host.read_json("ip", "-j", "route", "show", "default")
        (copy,) = host.read_json("ip", "-j", "route", "show", "table", "665")
        assert route_path("wlp1s0", copy) == route_path("wlp1s0", original) == tuple(way.split())


class TestAGatewayThatIsNamed:
    def test_it_takes_the_place_of_the_default_routes(self, host: Runner) -> None:
        routes(host, "default via 192.168.1.1 dev wlp1s0")
        assert find_uplink(host, "wlp1s0", "192.168.1.254").path == ("via", "192.168.1.254", "dev", "wlp1s0")

    def test_no_default_route_is_needed_then(self, host: Runner) -> None:
        assert find_uplink(host, "wlp1s0", "192.168.1.1").path == ("via", "192.168.1.1", "dev", "wlp1s0")

    def test_it_may_be_the_other_end_of_a_point_to_point_link(self, host: Runner) -> None:
        host.change("ip", "address", "add", "10.9.0.2", "peer", "10.9.0.1", "dev", "bare")
        assert find_uplink(host, "bare", "10.9.0.1").path == ("via", "10.9.0.1", "dev", "bare")

    def test_ipv6_is_written_in_one_way(self, host: Runner) -> None:
        assert find_uplink(host, "wlp1s0", "2001:DB8:0::1", 6).path == ("via", "2001:db8::1", "dev", "wlp1s0")

    @pytest.mark.parametrize(
        ("name", "gateway", "networks"),
        [
            ("wlp1s0", "192.168.2.1", "192.168.1.0/24"),
            ("wlp1s0", "2001:db8::1", "192.168.1.0/24"),
            ("bare", "192.168.1.1", "none"),
        ],
    )
    def test_one_that_is_not_on_the_link_is_refused(self, host: Runner, name: str, gateway: str, networks: str) -> None:
        with pytest.raises(BadInputError, match=f"gateway {gateway} cannot be reached over {name}") as refused:
            find_uplink(host, name, gateway)
        assert refused.value.why.endswith(f"are: {networks}")

    def test_what_is_no_address_is_refused(self, host: Runner) -> None:
        with pytest.raises(BadInputError, match="not an address") as refused:
            find_uplink(host, "wlp1s0", "router")
        assert "'router'" in refused.value.why


class TestWhatIsNoUplink:
    def test_an_unknown_name_is_refused_with_those_there_are(self, host: Runner) -> None:
        with pytest.raises(BadInputError, match="there is no interface 'wlp2s0'") as refused:
            find_uplink(host, "wlp2s0")
        assert refused.value.why == "this host has: bare, gateway, peer, plug, unplugged, wlp1s0"

    def test_an_interface_that_is_down_is_refused_with_the_command(self, host: Runner) -> None:
        with pytest.raises(BadInputError, match="unplugged is down") as refused:
            require_interface(host, "unplugged")
        assert refused.value.hint == "bring it up: ip link set dev unplugged up"

    @pytest.mark.parametrize(("name", "why"), [("lo", "loopback"), ("mptcp0", "own tap"), ("mptcp7", "own tap")])
    def test_what_leads_to_this_host_or_to_the_guest_is_refused(self, host: Runner, name: str, why: str) -> None:
        host.change("ip", "tuntap", "add", "dev", "mptcp0", "mode", "tap")
        with pytest.raises(BadInputError, match=f"{name} cannot be an uplink") as refused:
            find_uplink(host, name, "127.0.0.1")
        assert why in refused.value.why
        assert refused.value.hint.endswith(": bare, gateway, peer, plug, unplugged, wlp1s0")

    def test_one_without_a_default_route_is_refused(self, host: Runner) -> None:
        routes(host, "default via 192.168.1.1 dev wlp1s0")
        with pytest.raises(BadInputError, match="bare has no default route") as refused:
            find_uplink(host, "bare")
        assert "--gateway" in refused.value.hint

    def test_an_ipv4_default_route_is_none_for_ipv6(self, host: Runner) -> None:
        routes(host, "default via 192.168.1.1 dev wlp1s0")
        with pytest.raises(BadInputError, match="no default route"):
            find_uplink(host, "wlp1s0", family=6)

    @pytest.mark.parametrize("name", ["", "-j", "all", "wlp1s0 type veth", "a;reboot"])
    def test_no_name_reaches_a_command_unless_it_is_an_interface(self, host: Runner, name: str) -> None:
        with pytest.raises(BadInputError, match="there is no interface"):
            find_uplink(host, name)
