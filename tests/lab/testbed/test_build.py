"""Building and tearing down: nothing is there before, nothing is left after."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from invoke.config import Config
from invoke.context import Context

from lab.errors import MpsocksError
from lab.progress import Progress
from lab.runner import CommandError, Runner
from lab.testbed.build import build, exec_prefix
from lab.testbed.settings import IspSettings, TestbedSettings
from lab.testbed.teardown import tear_down
from lab.testbed.topology import topology
from tests.lab.testbed.conftest import standing
from tests.lab.testbed.inside import hop, is_running, processes, set_names

pytestmark = [pytest.mark.netns, pytest.mark.slow]

LINE = IspSettings(down=10**7, up=10**7, delay=0, routers=2)
SMALL = TestbedSettings(
    prefix=f"s{os.getpid()}", fixed=LINE,
    mobile=IspSettings(down=10**7, up=10**7, delay=0, routers=6), core_routers=1, far_routers=1, interception=True,
)  # fmt: skip


def small_namespaces() -> set[str]:
    """Those of `SMALL`, whatever else comes and goes on this host."""
    return {name for name in set_names() if name.startswith(f"{SMALL.prefix}-")}


def host_network(runner: Runner) -> list[object]:
    """What the host's own namespace shows, without the lifetimes that run down by themselves."""
    links = {link["ifname"] for link in runner.read_json("ip", "-j", "link", "show")}
    table = runner.read_json("ip", "-j", "route", "show", "table", "all")
    routes = {(route["dst"], route.get("dev")) for route in table}
    return [links, routes, runner.read("ip", "-j", "rule", "show"), runner.read("nft", "-j", "list", "tables")]


def test_a_testbed_comes_and_goes_and_leaves_nothing(runner: Runner, tmp_path: Path) -> None:
    network = host_network(runner)
    with standing(SMALL, runner, tmp_path) as plan:
        assert small_namespaces() == set(plan.namespace_names)
        servers = {pid for name in plan.namespace_names for pid in processes(name)}
        assert len(servers) == 5  # three web servers, the resolver, the box's relay
        assert host_network(runner) == network
    assert small_namespaces() == set()
    assert not [pid for pid in servers if is_running(pid)]
    assert not plan.resolv_conf.path.parent.exists()


def test_with_interception_the_mobile_isp_is_silent_and_the_fixed_one_is_not(runner: Runner, tmp_path: Path) -> None:
    with standing(SMALL, runner, tmp_path) as plan:
        server = plan.address_of("mptcp.test")
        answers = {ttl: hop(plan.lab, "wlan1", server, ttl, patience=0.3) for ttl in (1, 2, 6, 8)}
        assert [ttl for ttl, answer in answers.items() if answer] == [8]
        assert hop(plan.lab, "wlp1s0", server, ttl=2) == ("time-exceeded", "198.18.1.1")


def test_a_process_that_will_not_end_is_killed_and_its_neighbours_live(runner: Runner) -> None:
    name = f"k{os.getpid()}"
    runner.change("ip", "netns", "add", name)
    script = "trap '' TERM; echo ready; while :; do sleep 60; done"
    stubborn = subprocess.Popen([*exec_prefix(name), "sh", "-c", script], stdout=subprocess.PIPE)
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        assert stubborn.stdout
        assert stubborn.stdout.readline() == b"ready\n"
        tear_down([name], runner)
        assert stubborn.wait(5) == -signal.SIGKILL
        assert bystander.poll() is None
        assert name not in set_names()
    finally:
        for process in (stubborn, bystander):
            process.kill()
            process.wait()
        if stubborn.stdout:
            stubborn.stdout.close()


def test_tearing_down_what_is_not_there_is_no_error_and_touches_no_similar_name(runner: Runner) -> None:
    name = f"n{os.getpid()}"
    runner.change("ip", "netns", "add", f"{name}-lab")
    try:
        tear_down([name, f"{name}-la"], runner)
        assert f"{name}-lab" in set_names()
    finally:
        tear_down([f"{name}-lab"], runner)
    tear_down([f"{name}-lab"], runner)
    assert f"{name}-lab" not in set_names()


def test_namespaces_are_made_first_each_by_the_callers_function(runner: Runner, tmp_path: Path) -> None:
    asked: list[str] = []

    def refuse_the_third(name: str) -> None:
        asked.append(name)
        if len(asked) == 3:
            raise MpsocksError("enough")

    plan = topology(SMALL)
    with pytest.raises(MpsocksError, match="enough"):
        build(plan, runner, Progress(), tmp_path, make_namespace=refuse_the_third)
    assert asked == list(plan.namespace_names[:3])
    assert small_namespaces() == set()
    assert list(tmp_path.iterdir()) == []


def test_a_namespace_that_is_already_there_is_not_taken_over(runner: Runner, tmp_path: Path) -> None:
    plan = topology(SMALL)
    runner.change("ip", "netns", "add", plan.lab)
    try:
        with pytest.raises(CommandError, match="testbed-down"):
            build(plan, runner, Progress(), tmp_path)
    finally:
        tear_down([plan.lab], runner)


def test_without_the_resolvers_file_the_build_fails_and_says_which(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.testbed.services.READY_SECONDS", 0.3)
    plan = topology(SMALL)
    try:
        with pytest.raises(MpsocksError, match=f"is {plan.resolv_conf.path} in place"):
            build(plan, runner, Progress(), tmp_path)
    finally:
        tear_down(plan.namespace_names, runner)


def test_dry_prints_what_it_would_do_and_does_nothing(
    runner: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dry = Runner(Context(Config(overrides={"run": {"dry": True}})))
    plan = topology(SMALL)
    build(plan, dry, Progress(), tmp_path)
    tear_down(plan.namespace_names, dry)
    printed = capsys.readouterr().out
    assert f"ip netns add {plan.lab}\n" in printed
    assert f"link add wlan1 netns {plan.lab} type veth" in printed
    assert small_namespaces() == set()
    assert list(tmp_path.iterdir()) == []


def test_what_it_prints_when_dry_can_be_pasted_into_a_shell(
    runner: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = topology(SMALL)
    build(plan, Runner(Context(Config(overrides={"run": {"dry": True}}))), Progress(), tmp_path)
    script = capsys.readouterr().out
    try:
        subprocess.run([shutil.which("bash") or "bash", "-e", "-c", script], check=True, stdout=subprocess.DEVNULL)
        assert hop(plan.lab, "wlp1s0", plan.address_of("mptcp.test"), ttl=1) == ("time-exceeded", "192.168.1.1")
    finally:
        tear_down(plan.namespace_names, runner)
