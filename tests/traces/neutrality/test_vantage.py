"""The host that is measured from: made ready, and as it was afterwards, also when the prober was killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from lab.journal import Journal
from lab.runner import Runner
from lab.steps import MptcpLimits, Sysctl
from tests.conftest import MakeNamespace
from traces.neutrality.vantage import SCOPE, TABLE, TTL_TABLE, Vantage, leaving_with, ready

pytestmark = [pytest.mark.netns, pytest.mark.slow]

KEYS = ("net/mptcp/blackhole_timeout", "net/ipv4/tcp_syn_retries")
WEB = ip_address("127.0.0.1"), 80
SECONDS = 20.0


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
        assert state(vantage.runner) == ([TABLE], ["add_addr_accepted", "0", "subflows", "0"], ["0", "2"])
        with leaving_with(10, *WEB, vantage):
            assert state(vantage.runner)[0] == [TABLE, TTL_TABLE]
        assert state(vantage.runner)[0] == [TABLE]
    assert state(vantage.runner) == before
    assert vantage.journal.entries() == []


def test_what_a_killed_prober_left_behind_is_taken_back_by_the_next(vantage: Vantage) -> None:
    before = state(vantage.runner)
    vantage.change(MptcpLimits(0, 0))
    vantage.change(Sysctl("net/ipv4/tcp_syn_retries", "3"), f"{SCOPE}:ttl")
    with ready(vantage):
        assert state(vantage.runner)[2] == ["0", "2"]
    assert state(vantage.runner) == before


def test_limits_that_someone_changed_since_are_theirs(vantage: Vantage) -> None:
    with ready(vantage):
        vantage.runner.change("ip", "mptcp", "limits", "set", "subflows", "5", "add_addr_accepted", "5")
    assert state(vantage.runner)[1] == ["add_addr_accepted", "5", "subflows", "5"]


KILLED_IN_THE_MIDDLE = """
import sys, time
from ipaddress import ip_address
from pathlib import Path
from invoke.context import Context
from lab.journal import Journal
from lab.runner import Runner
from traces.neutrality.vantage import Vantage, leaving_with, ready

host = Runner(Context(), prefix=tuple(sys.argv[2:]))
vantage = Vantage(host, ("false",), "lo", ip_address("127.0.0.1"), Journal(Path(sys.argv[1]), host))
with ready(vantage), leaving_with(10, ip_address("127.0.0.1"), 80, vantage):
    print("measuring", flush=True)
    time.sleep(60)
"""


def test_the_host_puts_itself_back_when_who_measures_is_killed(vantage: Vantage, tmp_path: Path) -> None:
    before = state(vantage.runner)
    command = [sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(tmp_path / "other"), *vantage.runner.prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as task:
        assert task.stdout is not None
        assert task.stdout.readline() == "measuring\n"
        assert state(vantage.runner)[0] == [TABLE, TTL_TABLE]
        task.kill()
    wait_until(lambda: state(vantage.runner) == before)
    assert Journal(tmp_path / "other", vantage.runner).undo() > 0  # what the journal knows does no harm
    assert state(vantage.runner) == before


def test_nothing_is_left_to_watch_when_the_measurement_has_ended(vantage: Vantage) -> None:
    with ready(vantage):
        assert watchers(vantage.runner) == 1
    wait_until(lambda: watchers(vantage.runner) == 0)


def watchers(host: Runner) -> int:
    """Processes in the namespace that look after it: nothing else runs there, but for a moment its `sleep`."""
    pids = host.read("ip", "netns", "pids", host.prefix[-1]).split()
    commands = [Path("/proc", pid, "cmdline") for pid in pids]
    return sum(b"kill -0" in command.read_bytes() for command in commands if command.exists())


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_setting_that_the_kernel_does_not_have_is_left_out(vantage: Vantage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("traces.neutrality.vantage.LINEAR", "net/ipv4/of_another_release")
    with ready(vantage):
        assert state(vantage.runner)[2] == ["0", "4"]


def test_only_connections_to_the_target_leave_with_another_ttl(vantage: Vantage) -> None:
    """Counted behind the rule that sets it."""
    counting = "table ip count { chain o { type filter hook output priority 0; tcp flags syn ip ttl 10 counter; }; }"
    vantage.runner.change("nft", "-f", "-", stdin=counting)
    with leaving_with(10, *WEB, vantage):
        connect(vantage, 81)
        assert counted(vantage, "ip") == 0
        connect(vantage, 80)
        assert counted(vantage, "ip") == 1


def connect(vantage: Vantage, port: int) -> None:
    """With MPTCP, to a port that nobody listens on."""
    script = f"import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).connect_ex(('127.0.0.1', {port}))"
    vantage.runner.change("python3", "-c", script)


def test_the_kernels_resets_stay_in_and_the_probers_own_pass(vantage: Vantage, make_namespace: MakeNamespace) -> None:
    """Counted behind the rule that holds them back."""
    counting = "table inet count { chain o { type filter hook output priority 0; tcp flags rst counter; }; }"
    vantage.runner.change("nft", "-f", "-", stdin=counting)
    with ready(vantage):
        send_syn_ack(vantage, port=61234)
        assert counted(vantage, "inet") == 0
        send_syn_ack(vantage, port=50000)
        assert counted(vantage, "inet") == 1


def send_syn_ack(vantage: Vantage, port: int) -> None:
    """To a port on which no connection was begun: the kernel resets it."""
    script = (
        "from traces.neutrality.prober.packets import *; import socket; from ipaddress import ip_address as a\n"
        f"flow = Flow(a('127.0.0.1'), 80, a('127.0.0.1'), {port})\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)\n"
        "s.sendto(packet(flow, 64, 1, SYN | ACK, b''), ('127.0.0.1', 0))\n"
    )
    vantage.runner.change("python3", "-c", script)


def counted(vantage: Vantage, family: str) -> int:
    rules = json.loads(vantage.runner.read("nft", "-j", "list", "table", family, "count"))["nftables"]
    counters = [
        part["counter"]["packets"] for one in rules for part in one.get("rule", {}).get("expr", []) if "counter" in part
    ]
    return int(counters[0])
