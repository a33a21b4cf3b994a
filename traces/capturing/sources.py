"""Which interfaces of which machines to capture on, each looked for before anything is started."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from guest.connection import FORWARDING_SSHD_PORT, USER, guest, guest_address, ssh_options
from guest.lifecycle import require_taps
from lab.context import Lab
from lab.errors import BadInputError, MpsocksError
from lab.plan import tap_plan
from lab.runner import Runner
from lab.standing import standing_uplinks
from lab.steps import Capture
from lab.testbed.build import exec_prefix
from lab.testbed.model import Role, Service
from lab.testbed.session import testbed_settings
from lab.testbed.topology import SERVER_DEVICE, topology
from traces.capturing.machine import Machine
from traces.capturing.request import Request

SSH_SECONDS = 10
KIB = 1024


@dataclass(frozen=True, slots=True)
class Source:
    """One interface to capture on."""

    machine: Machine
    interface: str
    expression: str

    @property
    def label(self) -> str:
        """Its name among all interfaces: `wlp1s0`, `guest:mptcp0`."""
        return self.machine.label(self.interface)

    @property
    def file_name(self) -> str:
        return f"{self.label.replace(':', '.')}.pcap"

    def step(self, folder: Path, request: Request) -> Capture:
        """The capture; `folder` is where to write on this host."""
        return Capture(
            interface=self.interface,
            path=f"{self.machine.folder or folder}/{self.file_name}",
            expression=self.expression,
            snap_length=request.snap_length,
            buffer=request.buffer * KIB,
            through=self.machine.through,
            where=self.machine.name,
        )


def find_sources(lab: Lab, request: Request) -> tuple[Source, ...]:
    """Every interface that the request means; `BadInputError` for one that is not there or a filter that is wrong."""
    names = request.interfaces or tuple(dict.fromkeys(name for _, name in standing_uplinks(lab)))
    if not names and not (request.guest or request.server):
        raise BadInputError(
            "no interface was named",
            why="no uplink is set up, either",
            hint="name those to capture on, as in --itf wlp1s0,wlan1",
        )
    host = Machine("", (), partial(_itself, lab.host))
    wanted = [(host, names)]
    if request.guest:
        wanted.append((_guest(lab), tuple(plan.tap for plan in require_taps(lab))))
    if request.server:
        wanted += [(machine, (SERVER_DEVICE,)) for machine in _servers(lab)]
    return tuple(s for machine, interfaces in wanted for s in _sources(lab, machine, interfaces, request))


def machines_of(sources: Iterable[Source]) -> list[Machine]:
    """Each machine once."""
    return list({source.machine.name: source.machine for source in sources}.values())


def _sources(lab: Lab, machine: Machine, names: tuple[str, ...], request: Request) -> Iterator[Source]:
    expression = _without_control(request.expression) if machine.folder else request.expression
    if lab.host.dry and machine.folder:
        yield from (Source(machine, name, expression) for name in names)
        return
    with machine.reach() as runner:
        for name in dict.fromkeys(names):
            _require_up(runner, machine, name)
            _require_filter(runner, name, request.expression)
            yield Source(machine, name, expression)


def _require_up(runner: Runner, machine: Machine, name: str) -> None:
    links = {link["ifname"]: link for link in runner.read_json("ip", "-j", "link", "show")}
    if name not in links:
        raise BadInputError(
            f"{machine.title} has no interface {name!r}", why=f"it has: {', '.join(links)}", hint="name one of these"
        )
    if "UP" not in links[name]["flags"]:
        raise BadInputError(f"interface {name} is down", hint=f"bring it up: ip link set dev {name} up")


def _require_filter(runner: Runner, interface: str, expression: str) -> None:
    compiled = runner.probe("tcpdump", "-d", "-i", interface, "--", expression, timeout=SSH_SECONDS)
    if not compiled.ok:
        raise BadInputError(
            f"tcpdump does not understand the filter {expression!r}",
            why=compiled.stderr.strip(),
            hint="write it as `man pcap-filter` has it, as in --filter 'tcp port 80'",
        )


@contextmanager
def _itself(runner: Runner) -> Iterator[Runner]:
    yield runner


def _guest(lab: Lab) -> Machine:
    # A client that cannot get through must not hold `clean` up.
    options = (*ssh_options(lab), "-o", f"ConnectTimeout={SSH_SECONDS}")
    through = ("ssh", *options, f"{USER}@{guest_address()}")

    @contextmanager
    def reach() -> Iterator[Runner]:
        with guest(lab) as inside:
            yield inside.runner

    return Machine("guest", through, reach, folder=f"/var/tmp/mpsocks-capture-{os.getpid()}")


def _without_control(expression: str) -> str:
    """What we do in the guest over SSH is not what is looked for."""
    plan = tap_plan(0)
    control = f"tcp and host {plan.host.ip} and host {plan.guest.ip} and (port 22 or port {FORWARDING_SSHD_PORT})"
    return f"({expression}) and not ({control})" if expression else f"not ({control})"


def _servers(lab: Lab) -> list[Machine]:
    planned = topology(testbed_settings(lab))
    web = (Service.MPTCP_WEB, Service.PLAIN_WEB)
    servers = [space for space in planned.namespaces if space.role is Role.SERVER and space.service in web]
    machines = []
    for server in servers:
        through = exec_prefix(server.name)
        if not lab.host.dry and not lab.host.probe(*through, "true").ok:
            raise MpsocksError(
                "there is no server to capture on",
                why=f"the emulated internet's namespace {server.name} does not stand",
                hint="build it: invoke testbed-up",
            )
        name = server.name.removeprefix(f"{lab.settings.testbed.prefix}-")
        machines.append(Machine(name, through, partial(_itself, lab.host.inside(*through))))
    return machines
