"""The host's network for a guest: real packets, and afterwards everything as it was."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from guest.network import address_commands
from lab import host_network
from lab.errors import MpsocksError
from lab.journal import Journal
from lab.plan import TapPlan, tap_plans
from lab.runner import Runner
from lab.uplinks import Uplink, find_uplink
from tests.conftest import MakeNamespace, namespace_name
from tests.lab.host_state import network_state, wait_for_links, wait_until
from tests.lab.testbed.inside import open_socket
from tests.lab.wire import wire

pytestmark = [pytest.mark.netns, pytest.mark.slow]

WIFI, PHONE = tap_plans(2)
SERVER = "198.51.100.8"
PORT = 8080
REFUSED = {errno.EHOSTUNREACH, errno.ENETUNREACH}
LINKS = {"wlp1s0": ("192.168.1.21", "192.168.1.1"), "wlan1": ("192.168.42.204", "192.168.42.129")}


@dataclass
class World:
    """A lab host with two uplinks, and behind each a network where the same server address is."""

    host: Runner
    behind: dict[str, Runner]
    guest: Runner
    journal: Journal
    wires: ExitStack = field(default_factory=ExitStack)

    def up(self, *uplinks: str) -> None:
        """Wire one guest interface to each of these uplinks."""
        for plan, name in zip(tap_plans(len(uplinks)), uplinks, strict=True):
            host_network.configure_tap(self.journal, plan)
            host_network.configure_nat(self.journal, plan, name)
            host_network.configure_source_routing(self.journal, plan, find_uplink(self.host, name))

    def boot(self, *plans: TapPlan) -> None:
        """Put the guest's ends on the taps, as QEMU and the guest would."""
        for plan in plans:
            self.guest.change("ip", "tuntap", "add", "dev", plan.tap, "mode", "tap")
            self.wires.enter_context(
                wire((namespace_name(self.host), plan.tap), (namespace_name(self.guest), plan.tap))
            )
        self.guest.change("ip", "-batch", "-", stdin="\n".join(address_commands(plans, 4)))

    def serve(self, uplink: str, address: str = SERVER) -> socket.socket:
        """A server in the network behind that uplink."""
        server = open_socket(namespace_name(self.behind[uplink]), socket.AF_INET, socket.SOCK_STREAM)
        server.bind((address, PORT))
        server.listen()
        return server

    def call(self, caller: Runner, address: str, source: str = "") -> socket.socket:
        """A connection from that namespace, made from that address."""
        stream = open_socket(namespace_name(caller), socket.AF_INET, socket.SOCK_STREAM)
        try:
            stream.bind((source, 0))
            stream.connect((address, PORT))
        except OSError:
            stream.close()
            raise
        return stream

    def dropped(self) -> int:
        """Packets that the rules of our NAT tables have dropped."""
        rules = [entry.get("rule", {}) for entry in self.host.read_json("nft", "-j", "list", "ruleset")["nftables"]]
        ours = [rule for rule in rules if rule.get("table", "").startswith("mpsocks-nat-")]
        return sum(part["counter"]["packets"] for rule in ours for part in rule["expr"] if "counter" in part)


@pytest.fixture
def world(make_namespace: MakeNamespace, tmp_path: Path) -> Iterator[World]:
    host, guest = make_namespace(), make_namespace()
    behind = {name: make_namespace() for name in LINKS}
    for metric, (name, (address, gateway)) in enumerate(LINKS.items(), 101):
        links = (
            f"link add {name} type veth peer name lan netns {namespace_name(behind[name])}",
            f"address add {address}/24 dev {name}",
            f"link set dev {name} up",
            f"route add default via {gateway} dev {name} metric {metric}",
        )
        host.change("ip", "-batch", "-", stdin="\n".join(links))
        router = (
            "link set dev lan up",
            f"address add {gateway}/24 dev lan",
            f"address add {SERVER}/32 dev lo",
            # Whoever sits behind the uplink may well guess where the guest is.
            f"route add 10.66.0.0/20 via {address}",
        )
        behind[name].change("ip", "-batch", "-", stdin="\n".join(router))
    wait_for_links(host, *LINKS)
    made = World(host, behind, guest, Journal(tmp_path / "state", host))
    with made.wires:
        yield made


def peer_of(server: socket.socket) -> str:
    """Who is on the next connection that the server accepts."""
    connected, (address, _port) = server.accept()
    connected.close()
    return str(address)


class TestTapNetworks:
    def test_a_network_that_is_on_a_link_already_is_refused(self, world: World) -> None:
        world.host.change("ip", "address", "add", "10.66.6.77/24", "dev", "wlan1")
        before = network_state(world.host)
        with pytest.raises(MpsocksError, match="which this host uses already") as refused:
            host_network.configure_tap(world.journal, WIFI)
        assert "wlan1" in refused.value.why
        assert network_state(world.host) == before

    def test_a_wide_route_of_a_vpn_is_no_hindrance(self, world: World) -> None:
        world.host.change("ip", "route", "add", "10.0.0.0/8", "via", LINKS["wlan1"][1])
        host_network.configure_tap(world.journal, WIFI)


class TestComingAndGoing:
    @pytest.mark.parametrize("uplinks", [("wlp1s0", "wlan1"), ("wlan1", "wlan1")])
    def test_the_host_is_exactly_as_before(self, world: World, uplinks: tuple[str, ...]) -> None:
        before = network_state(world.host)
        world.up(*uplinks)
        assert network_state(world.host) != before
        assert all(entry.step.stands(world.host) for entry in world.journal.entries())
        world.journal.undo()
        assert network_state(world.host) == before

    def test_configuring_twice_is_configuring_once(self, world: World) -> None:
        world.up("wlp1s0")
        once, steps = network_state(world.host), len(world.journal.entries())
        world.up("wlp1s0")
        assert network_state(world.host) == once
        assert len(world.journal.entries()) == steps

    def test_parts_are_taken_back_one_by_one(self, world: World) -> None:
        before = network_state(world.host)
        world.up("wlan1", "wlan1")
        for plan in (WIFI, PHONE):
            for scope in (host_network.routing_scope, host_network.nat_scope, host_network.tap_scope):
                assert world.journal.undo(scope(plan)) > 0
        assert network_state(world.host) == before

    def test_nothing_is_left_of_a_tap_that_could_not_be_routed(self, world: World) -> None:
        before = network_state(world.host)

        def fail() -> None:
            with world.journal.transaction():
                host_network.configure_tap(world.journal, WIFI)
                host_network.configure_nat(world.journal, WIFI, "wlp1s0")
                nowhere = Uplink("wlp1s0", ("via", "203.0.113.1", "dev", "wlp1s0"))
                host_network.configure_source_routing(world.journal, WIFI, nowhere)

        with pytest.raises(MpsocksError, match=r"route add default via 203\.0\.113\.1"):
            fail()
        assert network_state(world.host) == before

    def test_without_a_tap_nothing_is_configured(self, world: World) -> None:
        before = network_state(world.host)
        with pytest.raises(MpsocksError, match="there is no tap mptcp0") as refused:
            host_network.configure_nat(world.journal, WIFI, "wlp1s0")
        assert refused.value.hint == "make it first: invoke configure-host-tap 0"
        with pytest.raises(MpsocksError, match="there is no tap mptcp0"):
            host_network.configure_source_routing(world.journal, WIFI, find_uplink(world.host, "wlp1s0"))
        assert network_state(world.host) == before

    def test_another_uplink_for_the_same_tap_is_refused(self, world: World) -> None:
        world.up("wlp1s0")
        before = network_state(world.host)
        with pytest.raises(MpsocksError, match="already set up for something else"):
            host_network.configure_source_routing(world.journal, WIFI, find_uplink(world.host, "wlan1"))
        assert network_state(world.host) == before


class TestPackets:
    def test_each_guest_address_leaves_over_its_own_uplink_behind_the_uplinks_address(self, world: World) -> None:
        world.up("wlp1s0", "wlan1")
        world.boot(WIFI, PHONE)
        for plan, name in ((WIFI, "wlp1s0"), (PHONE, "wlan1")):
            source = str(plan.guest.ip)
            with closing(world.serve(name)) as server, closing(world.call(world.guest, SERVER, source)):
                assert peer_of(server) == LINKS[name][0]

    def test_two_taps_may_share_an_uplink(self, world: World) -> None:
        world.up("wlan1", "wlan1")
        world.boot(WIFI, PHONE)
        world.journal.undo(host_network.nat_scope(WIFI), host_network.routing_scope(WIFI))
        with closing(world.serve("wlan1")) as server, closing(world.call(world.guest, SERVER, str(PHONE.guest.ip))):
            assert peer_of(server) == LINKS["wlan1"][0]

    def test_a_point_to_point_uplink_needs_no_gateway(self, world: World) -> None:
        world.host.change("ip", "route", "replace", "default", "dev", "wlp1s0", "metric", "101")
        world.behind["wlp1s0"].change("sysctl", "-q", "-w", "net/ipv4/conf/lan/proxy_arp=1")
        assert find_uplink(world.host, "wlp1s0").path == ("dev", "wlp1s0")
        world.up("wlp1s0")
        world.boot(WIFI)
        with closing(world.serve("wlp1s0")) as server, closing(world.call(world.guest, SERVER)):
            assert peer_of(server) == LINKS["wlp1s0"][0]

    def test_an_uplink_may_lead_through_an_ipv6_gateway(self, world: World) -> None:
        (lan,) = world.behind["wlp1s0"].read_json("ip", "-j", "-6", "address", "show", "dev", "lan", "scope", "link")
        way = ("via", "inet6", lan["addr_info"][0]["local"], "dev", "wlp1s0")
        world.host.change("ip", "-4", "route", "replace", "default", *way, "metric", "101")
        before = network_state(world.host)
        assert find_uplink(world.host, "wlp1s0").path == way
        world.up("wlp1s0")
        world.boot(WIFI)
        with closing(world.serve("wlp1s0")) as server, closing(world.call(world.guest, SERVER)):
            assert peer_of(server) == LINKS["wlp1s0"][0]
        world.journal.undo()
        assert network_state(world.host) == before

    def test_the_hosts_own_connections_do_not_change_their_way(self, world: World) -> None:
        world.up("wlan1")
        with closing(world.serve("wlp1s0")) as server, closing(world.call(world.host, SERVER)):
            assert peer_of(server) == LINKS["wlp1s0"][0]


class TestWhenAnUplinkGoesDown:
    def test_the_guest_is_refused_instead_of_leaving_over_the_other(self, world: World) -> None:
        world.up("wlp1s0", "wlan1")
        world.boot(WIFI, PHONE)
        world.host.change("ip", "link", "set", "dev", "wlp1s0", "down")
        with closing(world.serve("wlan1")) as server:
            with pytest.raises(OSError) as refused:  # noqa: PT011 - its number is compared below
                world.call(world.guest, SERVER, str(WIFI.guest.ip))
            assert refused.value.errno in REFUSED
            with closing(world.call(world.guest, SERVER, str(PHONE.guest.ip))):
                assert peer_of(server) == LINKS["wlan1"][0]

    def test_configuring_again_when_it_is_back_brings_the_route_back(self, world: World) -> None:
        before = network_state(world.host)
        world.up("wlp1s0")
        world.boot(WIFI)
        world.host.change("ip", "link", "set", "dev", "wlp1s0", "down")
        world.host.change("ip", "link", "set", "dev", "wlp1s0", "up")
        wait_for_links(world.host, "wlp1s0")
        world.host.change(
            *("ip", "route", "add", "default", "via", LINKS["wlp1s0"][1], "dev", "wlp1s0", "metric", "101")
        )
        assert [entry.step.subject for entry in world.journal.entries() if not entry.step.stands(world.host)] == [
            "route default in table 665"
        ]
        world.up("wlp1s0")
        with closing(world.serve("wlp1s0")) as server, closing(world.call(world.guest, SERVER)):
            assert peer_of(server) == LINKS["wlp1s0"][0]
        world.journal.undo()
        assert network_state(world.host)["nft -j list ruleset"] == before["nft -j list ruleset"]

    def test_and_it_can_be_cleaned_while_it_is_down(self, world: World) -> None:
        world.up("wlp1s0")
        world.host.change("ip", "link", "set", "dev", "wlp1s0", "down")
        world.journal.undo()
        assert world.host.read_json("ip", "-j", "route", "show", "table", "665") == []

    def test_also_when_the_uplink_is_gone_for_good(self, world: World) -> None:
        world.up("wlp1s0")
        world.host.change("ip", "link", "delete", "dev", "wlp1s0")
        world.journal.undo()
        assert world.journal.entries() == []


class TestTheGuard:
    def test_new_connections_from_behind_the_uplink_do_not_reach_the_guest(self, world: World) -> None:
        world.up("wlp1s0")
        world.boot(WIFI)
        self.knock_until_dropped(world, str(WIFI.guest.ip))

    def test_nor_what_is_behind_the_other_uplink(self, world: World) -> None:
        world.up("wlp1s0", "wlan1")
        world.behind["wlp1s0"].change("ip", "route", "add", LINKS["wlan1"][1], "via", LINKS["wlp1s0"][0])
        self.knock_until_dropped(world, LINKS["wlan1"][1])

    @staticmethod
    def knock_until_dropped(world: World, address: str) -> None:
        knocking = open_socket(namespace_name(world.behind["wlp1s0"]), socket.AF_INET, socket.SOCK_STREAM)
        with closing(knocking):
            knocking.setblocking(False)
            assert knocking.connect_ex((address, PORT)) == errno.EINPROGRESS
            wait_until(lambda: world.dropped() > 0, "no packet was dropped")
            assert knocking.connect_ex((address, PORT)) == errno.EALREADY

    def test_a_host_that_forwarded_before_goes_on_forwarding(self, world: World) -> None:
        for name in LINKS:
            world.host.change("sysctl", "-q", "-w", f"net/ipv4/conf/{name}/forwarding=1")
        before = network_state(world.host)
        world.behind["wlp1s0"].change("ip", "route", "add", LINKS["wlan1"][1], "via", LINKS["wlp1s0"][0])
        world.behind["wlan1"].change("ip", "route", "add", LINKS["wlp1s0"][1], "via", LINKS["wlan1"][0])
        world.up("wlp1s0", "wlan1")
        with (
            closing(world.serve("wlan1", LINKS["wlan1"][1])) as server,
            closing(world.call(world.behind["wlp1s0"], LINKS["wlan1"][1])),
        ):
            assert peer_of(server) == LINKS["wlp1s0"][1]
        assert world.dropped() == 0
        world.journal.undo()
        assert network_state(world.host) == before

    def test_and_still_lets_nobody_reach_the_guest(self, world: World) -> None:
        world.host.change("sysctl", "-q", "-w", "net/ipv4/conf/wlp1s0/forwarding=1")
        world.up("wlp1s0")
        world.boot(WIFI)
        self.knock_until_dropped(world, str(WIFI.guest.ip))

    def test_nor_may_whoever_is_behind_another_interface_that_forwards(self, world: World) -> None:
        """As on a machine with docker, where every interface does."""
        for name in LINKS:
            world.host.change("sysctl", "-q", "-w", f"net/ipv4/conf/{name}/forwarding=1")
        world.up("wlan1")
        world.boot(WIFI)
        self.knock_until_dropped(world, str(WIFI.guest.ip))

    def test_the_second_tap_of_an_uplink_is_guarded_as_the_first(self, world: World) -> None:
        """Though its uplink forwards by then: that is our own doing."""
        world.up("wlp1s0", "wlp1s0")
        tables = [world.host.read("nft", "list", "table", "inet", f"mpsocks-nat-{n}") for n in (0, 1)]
        assert all('iifname "wlp1s0" ct state != { established, related } counter' in table for table in tables)
