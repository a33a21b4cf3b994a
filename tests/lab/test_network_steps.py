"""Every step on the host's network, for real in a namespace: it comes, it goes, and nothing of it stays."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.errors import MpsocksError
from lab.runner import Runner
from lab.steps import NftTable, Route, RoutingRule, Sysctl, Tap, step_from_record
from lab.steps.base import Step
from tests.lab.host_state import network_state, wait_for_links

pytestmark = [pytest.mark.netns, pytest.mark.slow]

TABLE = "table inet mpsocks-nat-0 { chain forward { type filter hook forward priority filter; counter drop; }; }"


@dataclass(frozen=True)
class Case:
    """A step, what an apply that was killed leaves of it, and the same thing as made by a stranger."""

    name: str
    step: Step
    partly: str = ""
    stranger: str = ""


CASES = [
    Case("tap", Tap("mptcp0", "10.66.6.1/24"), "ip tuntap add dev mptcp0 mode tap", "ip link add mptcp0 type veth"),
    Case("table", NftTable("inet", "mpsocks-nat-0", TABLE), stranger="nft add table inet mpsocks-nat-0"),
    Case("sysctl", Sysctl("net/ipv4/conf/uplink/forwarding", "1")),
    Case(
        "rule", RoutingRule(4, "10.66.6.2", 665, 665), stranger="ip rule add from 10.66.6.2 lookup 665 priority 665"
    ),
    Case(
        "rule6", RoutingRule(6, "fd66::2", 665, 665), stranger="ip -6 rule add from fd66::2 lookup 665 priority 665"
    ),
    Case(
        "route", Route(4, "665", "default", ("via", "192.0.2.1", "dev", "uplink")),
        stranger="ip route add default dev uplink table 665",
    ),
    Case("route without gateway", Route(4, "665", "default", ("dev", "uplink"))),
    Case("route onlink", Route(4, "665", "default", ("via", "203.0.113.1", "dev", "uplink", "onlink"))),
    Case("route via IPv6", Route(4, "665", "default", ("via", "inet6", "fe80::1", "dev", "uplink"))),
    Case(
        "IPv6 route", Route(6, "665", "default", ("via", "2001:db8::1", "dev", "uplink")),
        stranger="ip -6 route add default dev uplink table 665",
    ),
    Case(
        "refusing route", Route(4, "665", "unreachable default", ("metric", "4294967295")),
        stranger="ip route add unreachable default table 665",
    ),
    Case("refusing IPv6 route", Route(6, "665", "unreachable default", ("metric", "4294967295"))),
    Case(
        "route to a host", Route(4, "main", "198.51.100.7/32", ("via", "192.0.2.1")),
        stranger="ip route add 198.51.100.7 dev uplink",
    ),
]  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@pytest.fixture
def host(netns: Runner) -> Runner:
    """A host with an uplink that is up."""
    commands = (
        "link add uplink type veth peer name far",
        "address add 192.0.2.2/24 dev uplink",
        "address add 2001:db8::2/64 dev uplink",
        "link set dev far up",
        "link set dev uplink up",
    )
    netns.change("ip", "-batch", "-", stdin="\n".join(commands))
    wait_for_links(netns, "uplink", "far")
    return netns


@every_case
def test_a_step_comes_and_goes_and_leaves_nothing(host: Runner, case: Case) -> None:
    before = network_state(host)
    step = case.step.prepared(host)
    assert not step.stands(host)
    step.apply(host)
    assert step.stands(host)
    assert network_state(host) != before
    # As another process does it after a crash, from the journal and nothing else.
    again = step_from_record(step.as_record())
    assert again == step
    again.undo(host)
    assert network_state(host) == before
    again.undo(host)
    assert network_state(host) == before


@every_case
def test_undoing_what_was_never_applied_changes_nothing(host: Runner, case: Case) -> None:
    before = network_state(host)
    case.step.prepared(host).undo(host)
    assert network_state(host) == before


@pytest.mark.parametrize("case", [case for case in CASES if case.partly], ids=lambda case: case.name)
def test_undoing_what_was_applied_in_part_leaves_nothing(host: Runner, case: Case) -> None:
    before = network_state(host)
    step = case.step.prepared(host)
    host.change(*case.partly.split())
    step.undo(host)
    assert network_state(host) == before


@pytest.mark.parametrize("case", [case for case in CASES if case.stranger], ids=lambda case: case.name)
def test_what_a_stranger_made_is_refused_and_left_alone(host: Runner, case: Case) -> None:
    host.change(*case.stranger.split())
    before = network_state(host)
    with pytest.raises(MpsocksError, match="already in use") as refused:
        case.step.prepared(host)
    assert refused.value.hint
    assert network_state(host) == before


class TestTap:
    def test_it_is_up_with_its_address(self, host: Runner) -> None:
        Tap("mptcp0", "10.66.6.1/24").apply(host)
        (link,) = host.read_json("ip", "-j", "address", "show", "dev", "mptcp0")
        assert "UP" in link["flags"]
        assert ("10.66.6.1", 24) in [(info["local"], info["prefixlen"]) for info in link["addr_info"]]


class TestSysctl:
    KEY = "net/ipv4/conf/uplink/forwarding"

    def test_a_value_that_was_there_already_is_left_in_the_end(self, host: Runner) -> None:
        host.change("sysctl", "-q", "-w", f"{self.KEY}=1")
        before = network_state(host)
        step = Sysctl(self.KEY, "1").prepared(host)
        step.apply(host)
        step.undo(host)
        assert network_state(host) == before

    def test_one_that_was_lost_since_is_set_again(self, host: Runner) -> None:
        """Also one that needed no setting when it was planned."""
        host.change("sysctl", "-q", "-w", f"{self.KEY}=1")
        step = Sysctl(self.KEY, "1").prepared(host)
        host.change("sysctl", "-q", "-w", f"{self.KEY}=0")
        step.apply(host)
        assert step.stands(host)

    def test_what_someone_else_set_since_is_theirs(self, host: Runner) -> None:
        host.change("sysctl", "-q", "-w", "net/ipv4/ip_default_ttl=60")
        step = Sysctl("net/ipv4/ip_default_ttl", "128").prepared(host)
        step.apply(host)
        host.change("sysctl", "-q", "-w", "net/ipv4/ip_default_ttl=99")
        step.undo(host)
        assert host.read("sysctl", "-n", "net/ipv4/ip_default_ttl") == "99\n"

    def test_a_setting_that_went_with_its_interface_needs_no_undoing(self, host: Runner) -> None:
        step = Sysctl(self.KEY, "1").prepared(host)
        step.apply(host)
        host.change("ip", "link", "delete", "dev", "uplink")
        before = network_state(host)
        step.undo(host)
        assert network_state(host) == before

    def test_interface_names_may_hold_dots(self, host: Runner) -> None:
        host.change("ip", "link", "add", "uplink.7", "type", "veth")
        step = Sysctl("net/ipv4/conf/uplink.7/forwarding", "1").prepared(host)
        step.apply(host)
        assert step.stands(host)
        assert step.previous == "0"


class TestRoute:
    STEP = Route(4, "665", "default", ("via", "192.0.2.1", "dev", "uplink"))

    def test_one_that_someone_else_put_in_its_place_is_theirs(self, host: Runner) -> None:
        self.STEP.apply(host)
        host.change("ip", "route", "replace", "default", "via", "192.0.2.9", "dev", "uplink", "table", "665")
        before = network_state(host)
        assert not self.STEP.stands(host)
        self.STEP.undo(host)
        assert network_state(host) == before

    def test_a_refusing_one_does_not_pass_for_it(self, host: Runner) -> None:
        dataclasses.replace(self.STEP, destination="unreachable default", path=("metric", "4294967295")).apply(host)
        assert not self.STEP.stands(host)
        self.STEP.prepared(host).apply(host)
        assert self.STEP.stands(host)

    def test_a_table_that_never_had_a_route_has_none(self, host: Runner) -> None:
        assert not dataclasses.replace(self.STEP, table="4711").stands(host)


class TestRoutingRule:
    def test_another_rule_of_the_same_priority_is_not_it(self, host: Runner) -> None:
        host.change("ip", "rule", "add", "from", "10.66.9.9", "lookup", "665", "priority", "665")
        before = network_state(host)
        step = RoutingRule(4, "10.66.6.2", 665, 665).prepared(host)
        step.apply(host)
        step.undo(host)
        assert network_state(host) == before

    def test_it_is_known_also_where_the_table_has_a_name(self, host: Runner, tmp_path: Path) -> None:
        names = Path("/etc/iproute2/rt_tables")
        if not names.exists():
            pytest.skip("iproute2 keeps its names elsewhere")
        (tmp_path / "rt_tables").write_text("665 wifi\n")
        named = host.inside(
            "unshare", "--mount", "sh", "-c", f'mount --bind {tmp_path}/rt_tables {names} && exec "$@"', "sh"
        )
        step = RoutingRule(4, "10.66.6.2", 665, 665)
        step.apply(named)
        assert "lookup wifi" in named.read("ip", "rule", "show")
        assert step.stands(named)
