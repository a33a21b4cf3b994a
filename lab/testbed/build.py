"""Makes the emulated internet on a host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from lab.errors import MpsocksError
from lab.progress import Progress
from lab.runner import Runner
from lab.testbed import render
from lab.testbed.model import Delay, Device, Topology
from lab.testbed.services import start_services


def build(
    topology: Topology,
    runner: Runner,
    progress: Progress,
    state: Path,
    make_namespace: Callable[[str], None] | None = None,
) -> None:
    """Make the namespaces and everything in them, and return when the servers answer from the lab host's namespace.

    The names resolve there only if `topology.resolv_conf` has been written before. `state` is a folder on that host
    for the servers' configuration and logs. `make_namespace` makes one namespace of the given name and is called once
    for each before anything else is changed; all else lives in the namespaces and goes with them. `MpsocksError` when
    the kernel or an earlier testbed stands in the way; what was made until then is the caller's to tear down.
    """
    _require_mptcp(runner)
    with progress.stage("build the emulated internet") as stage:
        if not _has_netem(runner):
            progress.line("  this kernel has no netem: the emulated internet has its rates, but no delays")
            topology = without_delays(topology)
        make = make_namespace or partial(_add_namespace, runner)
        for name in topology.namespace_names:
            make(name)
        stage.tell("links and routes")
        _configure(topology, runner)
        stage.tell("servers")
        start_services(topology, runner, state)


def exec_prefix(lab: str) -> tuple[str, ...]:
    """What goes before a command to run it as if on the lab host, whose namespace is `lab`."""
    return ("ip", "netns", "exec", lab)


def without_delays(topology: Topology) -> Topology:
    """The same, as far as a kernel without netem can make it."""

    def prompt(device: Device) -> Device:
        return replace(device, egress=None) if isinstance(device.egress, Delay) else device

    links = tuple(replace(link, left=prompt(link.left), right=prompt(link.right)) for link in topology.links)
    return replace(topology, links=links)


def _configure(topology: Topology, runner: Runner) -> None:
    """Sysctls first, since devices take them over when they are made."""
    for namespace in topology.namespaces:
        runner.inside(*exec_prefix(namespace.name)).change(
            "sysctl", "--quiet", "--ignore", "--load=-", stdin=render.sysctls(namespace)
        )
    runner.change("ip", "-batch", "-", stdin=render.links_batch(topology))
    for namespace in topology.namespaces:
        name = namespace.name
        runner.change("ip", "-n", name, "-batch", "-", stdin=render.namespace_batch(topology, namespace))
        if shapes := render.shapes_batch(topology, namespace):
            runner.change("tc", "-n", name, "-batch", "-", stdin=shapes)
        if ruleset := render.ruleset(namespace):
            runner.inside(*exec_prefix(name)).change("nft", "-f", "-", stdin=ruleset)


def _add_namespace(runner: Runner, name: str) -> None:
    runner.change("ip", "netns", "add", name, hint="`invoke testbed-down` removes a testbed that is still there")


def _require_mptcp(runner: Runner) -> None:
    if not runner.probe("sysctl", "-n", "net.mptcp.enabled").ok:
        raise MpsocksError(
            "this kernel has no MPTCP, so the emulated internet's servers could not speak it",
            why="there is no sysctl net.mptcp.enabled",
            hint="boot a kernel with CONFIG_MPTCP=y, as Debian's own kernels have",
        )


def _has_netem(runner: Runner) -> bool:
    """Asked in a namespace that ends with the question."""
    return runner.probe("unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms").ok
