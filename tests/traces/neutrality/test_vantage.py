"""The host that is measured from: made ready, and as it was afterwards, also when the prober was killed."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from lab.journal import Journal
from lab.runner import Runner
from lab.steps import MptcpLimits, Sysctl
from tests.conftest import MakeNamespace
from traces.neutrality.vantage import SCOPE, TABLE, Vantage, ready, set_there

pytestmark = [pytest.mark.netns, pytest.mark.slow]

KEYS = ("net/mptcp/blackhole_timeout", "net/ipv4/tcp_syn_retries", "net/ipv4/ip_default_ttl")


@pytest.fixture
def vantage(make_namespace: MakeNamespace, tmp_path: Path) -> Vantage:
    host = make_namespace()
    host.change("ip", "mptcp", "limits", "set", "subflows", "3", "add_addr_accepted", "1")
    return Vantage(host, ("false",), "lo", ip_address("127.0.0.1"), Journal(tmp_path, host))


def state(host: Runner) -> tuple[object, ...]:
    tables = json.loads(host.read("nft", "-j", "list", "tables"))["nftables"]
    limits = host.read("ip", "mptcp", "limits", "show").split()
    return [one["table"]["name"] for one in tables if "table" in one], limits, [
        host.read("sysctl", "-n", key).strip() for key in KEYS
    ]  # fmt: skip


def test_it_is_as_it_was_when_the_measurement_has_ended(vantage: Vantage) -> None:
    before = state(vantage.runner)
    with ready(vantage):
        set_there(vantage, "net/ipv4/ip_default_ttl", "10")
        assert state(vantage.runner) == ([TABLE], ["add_addr_accepted", "0", "subflows", "0"], ["0", "2", "10"])
    assert state(vantage.runner) == before
    assert vantage.journal.entries() == []


def test_what_a_killed_prober_left_behind_is_taken_back_by_the_next(vantage: Vantage) -> None:
    before = state(vantage.runner)
    vantage.change(MptcpLimits(0, 0))
    vantage.change(Sysctl("net/ipv4/ip_default_ttl", "10"), f"{SCOPE}:ttl")
    with ready(vantage):
        assert state(vantage.runner)[2] == ["0", "2", "64"]
    assert state(vantage.runner) == before


def test_limits_that_someone_changed_since_are_theirs(vantage: Vantage) -> None:
    with ready(vantage):
        vantage.runner.change("ip", "mptcp", "limits", "set", "subflows", "5", "add_addr_accepted", "5")
    assert state(vantage.runner)[1] == ["add_addr_accepted", "5", "subflows", "5"]


def test_a_setting_that_the_kernel_does_not_have_is_left_out(vantage: Vantage) -> None:
    set_there(vantage, "net/mptcp/of_another_release", "1")
    assert vantage.journal.entries() == []


def test_the_kernels_resets_stay_in_and_the_probers_own_pass(vantage: Vantage, make_namespace: MakeNamespace) -> None:
    """Counted behind the rule that holds them back."""
    counting = "table inet count { chain o { type filter hook output priority 0; tcp flags rst counter; }; }"
    vantage.runner.change("nft", "-f", "-", stdin=counting)
    with ready(vantage):
        send_syn_ack(vantage, port=61234)
        assert resets(vantage) == 0
        send_syn_ack(vantage, port=50000)
        assert resets(vantage) == 1


def send_syn_ack(vantage: Vantage, port: int) -> None:
    """To a port on which no connection was begun: the kernel resets it."""
    script = (
        "from traces.neutrality.prober.packets import *; import socket; from ipaddress import ip_address as a\n"
        f"flow = Flow(a('127.0.0.1'), 80, a('127.0.0.1'), {port})\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)\n"
        "s.sendto(packet(flow, 64, 1, SYN | ACK, b''), ('127.0.0.1', 0))\n"
    )
    vantage.runner.change("python3", "-c", script)


def resets(vantage: Vantage) -> int:
    rules = json.loads(vantage.runner.read("nft", "-j", "list", "table", "inet", "count"))["nftables"]
    counters = [
        part["counter"]["packets"] for one in rules for part in one.get("rule", {}).get("expr", []) if "counter" in part
    ]
    return int(counters[0])
