"""The servers' daemons: put in place, started detached in their namespaces, waited for until they answer."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from lab.errors import MpsocksError
from lab.runner import Runner
from lab.testbed.model import Namespace, Service, Topology
from lab.testbed.render import RELAY_PORT, dnsmasq_configuration

WEB_SOURCES = Path(__file__).with_name("web")
RELAY = Path(__file__).parent / "box" / "relay.py"
READY_SECONDS = 10.0
POLL_SECONDS = 0.05
LOG_LINES = 5


def start_services(topology: Topology, runner: Runner, state: Path) -> None:
    """Start every server's daemon and wait until each answers to the lab host, by name where there are names."""
    _install(topology, runner, state)
    for namespace in topology.namespaces:
        if namespace.service is not None:
            _start(namespace, runner, state)
    if runner.dry:
        return
    for host in _websites(topology):
        _wait_for(host, topology, runner, state)


def _websites(topology: Topology) -> Iterator[str]:
    """Every web server's name, or its address when it has none."""
    names = {address: name for name, address in topology.names} if topology.dns else {}
    for namespace in topology.namespaces:
        if namespace.service in (Service.MPTCP_WEB, Service.PLAIN_WEB):
            address = next(topology.devices_of(namespace.name)).addresses[0].ip
            yield names.get(address, str(address))


def _install(topology: Topology, runner: Runner, state: Path) -> None:
    """Copied rather than run from this checkout: the lab host may be another machine, and the checkout may change."""
    runner.change("mkdir", "-p", state / "web")
    for source in sorted(WEB_SOURCES.glob("*.py")):
        runner.change("tee", state / "web" / source.name, stdin=source.read_text())
    runner.change("tee", state / RELAY.name, stdin=RELAY.read_text())
    if topology.dns is not None:
        runner.change("tee", state / "dnsmasq.conf", stdin=dnsmasq_configuration(topology))


def _start(namespace: Namespace, runner: Runner, state: Path) -> None:
    assert namespace.service is not None
    command = shlex.join(_command(namespace.service, state))
    log = shlex.quote(str(_log(namespace.name, state)))
    # `python3 -m web` finds the copied package in the folder that it is started in.
    script = f"cd {shlex.quote(str(state))} && exec setsid --fork {command} >{log} 2>&1 </dev/null"
    runner.change("ip", "netns", "exec", namespace.name, "sh", "-c", script)


def _command(service: Service, state: Path) -> tuple[str, ...]:
    match service:
        case Service.MPTCP_WEB:
            return ("python3", "-B", "-m", "web")
        case Service.PLAIN_WEB:
            return ("python3", "-B", "-m", "web", "--plain")
        case Service.RELAY:
            return ("python3", "-B", RELAY.name, "--port", str(RELAY_PORT))
        case Service.DNS:
            # An empty --pid-file: none is written, the namespace knows its processes.
            return ("dnsmasq", "--keep-in-foreground", f"--conf-file={state / 'dnsmasq.conf'}", "--pid-file=",
                    "--log-facility=-")  # fmt: skip


def _log(namespace: str, state: Path) -> Path:
    return state / f"{namespace}.log"


def _wait_for(name: str, topology: Topology, runner: Runner, state: Path) -> None:
    """Wait until `name` resolves in the lab host's namespace and the server behind it answers."""
    deadline = time.monotonic() + READY_SECONDS
    ask = ("ip", "netns", "exec", topology.lab, "curl", "-sS", "--fail", "--noproxy", "*", "--max-time", "2")
    while True:
        answer = runner.probe(*ask, f"http://{name}/connection.json")
        if answer.ok:
            return
        if time.monotonic() >= deadline:
            raise MpsocksError(
                f"{name} does not answer in the emulated internet",
                why=f"{answer.stderr.strip()}\n{_last_words(topology, runner, state)}",
                hint=f"is {topology.resolv_conf.path} in place? The logs are in {state}",
            )
        time.sleep(POLL_SECONDS)


def _last_words(topology: Topology, runner: Runner, state: Path) -> str:
    logs = [_log(namespace.name, state) for namespace in topology.namespaces if namespace.service]
    return runner.probe("tail", "-n", str(LOG_LINES), *logs).stdout.strip()
