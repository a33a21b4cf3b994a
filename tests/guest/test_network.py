"""The guest's addresses, tables and endpoints, in a namespace in place of the guest."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from guest.network import SUBFLOWS, address_commands, configure_network, endpoint_commands
from lab.errors import MpsocksError
from lab.plan import TapPlan, tap_plans
from lab.runner import Runner
from tests.conftest import namespace_name
from tests.guest.recording import NamespaceGuest
from tests.lab.testbed.inside import open_socket

PLANS = tap_plans(2)


class TestCommands:
    def test_each_interface_gets_its_address_table_and_rule(self) -> None:
        assert address_commands(PLANS[1:], 4) == [
            "link set dev mptcp1 up",
            "address replace 10.66.7.2/24 dev mptcp1",
            "route replace 10.66.7.0/24 dev mptcp1 scope link src 10.66.7.2 table 666",
            "route replace default via 10.66.7.1 dev mptcp1 table 666",
            "route replace default via 10.66.7.1 dev mptcp1 metric 101",
            "rule add from 10.66.7.2 lookup 666 priority 666",
        ]

    def test_of_the_other_family_there_is_nothing(self) -> None:
        assert address_commands(PLANS, 6) == []

    def test_every_address_is_an_endpoint_with_room_for_what_servers_announce(self) -> None:
        assert endpoint_commands(PLANS) == [
            f"mptcp limits set subflows {SUBFLOWS} add_addr_accepted {SUBFLOWS}",
            "mptcp endpoint add 10.66.6.2 dev mptcp0 id 1 subflow",
            "mptcp endpoint add 10.66.7.2 dev mptcp1 id 2 subflow",
        ]


@pytest.mark.netns
class TestInANamespace:
    @pytest.fixture
    def inside(self, netns: Runner, monkeypatch: pytest.MonkeyPatch) -> NamespaceGuest:
        for plan in PLANS:
            netns.change("ip", "link", "add", plan.tap, "type", "veth", "peer", "name", f"far{plan.n}")
            netns.change("ip", "link", "set", "dev", f"far{plan.n}", "up")
        guest = NamespaceGuest(netns)
        change = netns.change

        def all_but_the_clock(*argv: Any, **options: Any) -> str:
            """The clock is this machine's own."""
            return "" if argv[0] == "date" else change(*argv, **options)

        monkeypatch.setattr(netns, "change", all_but_the_clock)
        return guest

    def configure(self, inside: NamespaceGuest, plans: tuple[TapPlan, ...] = PLANS) -> None:
        configure_network(inside, plans, ("192.0.2.53", "2001:db8::53"))

    def test_ip_accepts_it_all(self, inside: NamespaceGuest) -> None:
        self.configure(inside)
        for plan in PLANS:
            (link,) = inside.runner.read_json("ip", "-j", "-4", "address", "show", "dev", plan.tap)
            assert [info["local"] for info in link["addr_info"]] == [str(plan.guest.ip)]
            table = inside.runner.read_json("ip", "-j", "route", "show", "table", str(plan.table))
            assert {(route["dst"], route.get("gateway")) for route in table} == {
                ("default", str(plan.host.ip)), (str(plan.guest.network), None),
            }  # fmt: skip
        rules = inside.runner.read_json("ip", "-j", "rule", "show")
        assert [(r["src"], r["table"]) for r in rules if r["priority"] in (665, 666)] == [
            ("10.66.6.2", "665"), ("10.66.7.2", "666"),
        ]  # fmt: skip
        endpoints = inside.runner.read("ip", "mptcp", "endpoint", "show").splitlines()
        assert len(endpoints) == 2
        assert "add_addr_accepted 8 subflows 8" in inside.runner.read("ip", "mptcp", "limits", "show")

    def test_a_connection_leaves_over_the_interface_of_its_address(self, inside: NamespaceGuest) -> None:
        self.configure(inside)
        for plan in PLANS:
            (route,) = inside.runner.read_json("ip", "-j", "route", "get", "198.51.100.8", "from", str(plan.guest.ip))
            assert (route["dev"], route["gateway"]) == (plan.tap, str(plan.host.ip))

    def test_without_a_source_the_first_one_is_preferred(self, inside: NamespaceGuest) -> None:
        self.configure(inside)
        with open_socket(namespace_name(inside.runner), socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("198.51.100.8", 9))
            assert probe.getsockname()[0] == str(PLANS[0].guest.ip)

    def test_configuring_twice_is_configuring_once(self, inside: NamespaceGuest) -> None:
        self.configure(inside)
        questions = (("route", "show", "table", "all"), ("rule", "show"), ("mptcp", "endpoint", "show"))
        once = [inside.runner.read("ip", *question) for question in questions]
        self.configure(inside)
        assert [inside.runner.read("ip", *question) for question in questions] == once

    def test_name_servers_and_mptcp_are_set(self, inside: NamespaceGuest) -> None:
        self.configure(inside)
        assert inside.files == {"/etc/resolv.conf": "nameserver 192.0.2.53\nnameserver 2001:db8::53\n"}
        assert inside.runner.read("sysctl", "-n", "net.mptcp.enabled") == "1\n"
        assert inside.runner.read("sysctl", "-n", "net.ipv4.conf.all.rp_filter") == "2\n"

    def test_an_interface_that_is_missing_is_named_before_anything_is_changed(self, inside: NamespaceGuest) -> None:
        before = inside.runner.read("ip", "address", "show")
        with pytest.raises(MpsocksError, match="the guest has no interface mptcp2") as refused:
            self.configure(inside, tap_plans(3))
        assert "--taps 3" in refused.value.hint
        assert inside.runner.read("ip", "address", "show") == before
