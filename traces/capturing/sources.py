"""Which interfaces of which machines to capture on, each looked for before anything is started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from guest.lifecycle import require_taps
from lab.context import Lab
from lab.errors import BadInputError, MpsocksError
from lab.standing import standing_uplinks
from lab.steps import Capture
from lab.testbed.build import exec_prefix
from lab.testbed.model import Role, Service
from lab.testbed.session import testbed_settings
from lab.testbed.topology import SERVER_DEVICE, topology
from traces.capturing.guest_machine import guest_machine, without_control
from traces.capturing.machine import Machine
from traces.capturing.request import Request

COMPILE_SECONDS = 30
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
    wanted = [(Machine("", (), lab.host), names)]
    if request.guest:
        taps = tuple(plan.tap for plan in require_taps(lab))
        wanted.append((guest_machine(lab), taps))
    if request.server:
        wanted += [(machine, (SERVER_DEVICE,)) for machine in _servers(lab)]
    return tuple(s for machine, interfaces in wanted for s in _sources(lab, machine, interfaces, request))


def machines_of(sources: Iterable[Source]) -> list[Machine]:
    """Each machine once."""
    return list({source.machine.name: source.machine for source in sources}.values())


def _sources(lab: Lab, machine: Machine, names: tuple[str, ...], request: Request) -> Iterator[Source]:
    expression = without_control(request.expression) if machine.folder else request.expression
    if lab.host.dry and machine.through:
        yield from (Source(machine, name, expression) for name in names)
        return
    for name in dict.fromkeys(names):
        _require_up(machine, name)
        _require_filter(machine, name, request.expression)
        yield Source(machine, name, expression)


def _require_up(machine: Machine, name: str) -> None:
    links = {link["ifname"]: link for link in machine.runner.read_json("ip", "-j", "link", "show")}
    if name not in links:
        raise BadInputError(
            f"{machine.title} has no interface {name!r}", why=f"it has: {', '.join(links)}", hint="name one of these"
        )
    if "UP" not in links[name]["flags"]:
        raise BadInputError(f"interface {name} is down", hint=f"bring it up: ip link set dev {name} up")


def _require_filter(machine: Machine, interface: str, expression: str) -> None:
    compiled = machine.runner.probe("tcpdump", "-d", "-i", interface, "--", expression, timeout=COMPILE_SECONDS)
    if not compiled.ok:
        raise BadInputError(
            f"tcpdump does not understand the filter {expression!r}",
            why=compiled.stderr.strip(),
            hint="write it as `man pcap-filter` has it, as in --filter 'tcp port 80'",
        )


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
        machines.append(Machine(name, through, lab.host.inside(*through)))
    return machines
