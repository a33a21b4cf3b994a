"""The services in the guest: which there are, and starting one in place of another."""

from __future__ import annotations

import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import Any

from guest.connection import FORWARDING_SSHD_PORT, USER, Guest, guest_address, ssh_options
from lab.context import Lab
from lab.errors import BadInputError, MpsocksError
from lab.plan import LAB_NETWORK, REDIRECT_PORT, SOCKS_PORT, TapPlan
from lab.runner import CommandError
from lab.steps import SshForward
from lab.templates import render
from proxy.bundle import build_zipapp

FOLDER = "/opt/mpsocks"
BUNDLE = f"{FOLDER}/mpsocks.pyz"
UNITS = Path(__file__).with_name("units")
START_SECONDS = 30.0
SSH_SCOPE = "socks:ssh"
LOCAL_SOCKS = "127.0.0.1"


class SocksServer(StrEnum):
    """What serves SOCKS in the guest."""

    MPSOCKS = "mpsocks"
    DANTE = "dante"
    SSH = "ssh"
    """`ssh -D` on the lab host's loopback, through a second sshd in the guest."""

    @property
    def unit(self) -> str:
        return {"mpsocks": "mpsocks-proxy", "dante": "mpsocks-dante", "ssh": "mpsocks-sshd"}[self]

    @property
    def port(self) -> int:
        """The port that it listens on in the guest."""
        return FORWARDING_SSHD_PORT if self is SocksServer.SSH else SOCKS_PORT

    @property
    def needs(self) -> tuple[str, ...]:
        """The programs that only the extra image has."""
        return {"mpsocks": (), "dante": ("danted", "mptcpize"), "ssh": ("mptcpize",)}[self]


class Socksifier(StrEnum):
    """What takes routed TCP connections in the guest."""

    MPSOCKS = "mpsocks"
    REDSOCKS = "redsocks"

    @property
    def unit(self) -> str:
        return {"mpsocks": "mpsocks-socksifier", "redsocks": "mpsocks-redsocks"}[self]

    @property
    def needs(self) -> tuple[str, ...]:
        return {"mpsocks": (), "redsocks": ("redsocks",)}[self]


def needs_extra_image(server: SocksServer, socksifier: Socksifier) -> bool:
    """Whether the guest must be booted from the image that `install-vm-extra` makes."""
    return bool(server.needs or socksifier.needs)


def require_fit(server: SocksServer, socksifier: Socksifier) -> None:
    """Refuse a pair that cannot work together."""
    if server is SocksServer.SSH and socksifier is Socksifier.REDSOCKS:
        raise BadInputError(
            "redsocks cannot be used with --server ssh",
            why="redsocks hands connections to a SOCKS server in the guest, and ssh -D has its own on the lab host",
            hint="use --socksifier mpsocks, or --server mpsocks or dante",
        )


def run_socks(lab: Lab, guest: Guest, server: SocksServer, plans: tuple[TapPlan, ...]) -> str:
    """Start `server`, and end whichever other ran; return the address and port of the SOCKS server."""
    _require_programs(guest, server.needs)
    values = template_values(plans)
    if server is SocksServer.MPSOCKS:
        _deploy_bundle(guest)
    if server is SocksServer.DANTE:
        _write(guest, f"{FOLDER}/danted.conf", "danted.conf.j2", values)
    lab.journal.undo(SSH_SCOPE)
    _start_instead(guest, server.unit, server.port, [other.unit for other in SocksServer], values)
    if server is not SocksServer.SSH:
        return f"{guest_address()}:{SOCKS_PORT}"
    _forward_over_ssh(lab)
    return f"{LOCAL_SOCKS}:{SOCKS_PORT}"


def run_socksifier(guest: Guest, socksifier: Socksifier, plans: tuple[TapPlan, ...]) -> None:
    """Start `socksifier` in place of whichever other ran, and redirect routed TCP connections to it."""
    _require_programs(guest, socksifier.needs)
    values = template_values(plans)
    if socksifier is Socksifier.MPSOCKS:
        _deploy_bundle(guest)
    else:
        _require_socks_server(guest)
        _write(guest, f"{FOLDER}/redsocks.conf", "redsocks.conf.j2", values)
    _start_instead(guest, socksifier.unit, REDIRECT_PORT, [other.unit for other in Socksifier], values)
    guest.runner.change("nft", "-f", "-", stdin=render(UNITS / "redirect.nft.j2", **values))


def socks_address(lab: Lab) -> str:
    """Address and port at which the lab host reaches the SOCKS server that was started last."""
    forwards = [entry.step.listen for entry in lab.journal.entries() if isinstance(entry.step, SshForward)]
    return forwards[0] if forwards else f"{guest_address()}:{SOCKS_PORT}"


def template_values(plans: tuple[TapPlan, ...]) -> dict[str, Any]:
    """What the templates in `units/` are rendered with."""
    return {
        "plans": plans,
        "addresses": [str(plan.guest.ip) for plan in plans],
        "socks_port": SOCKS_PORT,
        "redirect_port": REDIRECT_PORT,
        "ssh_port": FORWARDING_SSHD_PORT,
        "lab_network": LAB_NETWORK,
        "folder": FOLDER,
        "bundle": BUNDLE,
    }


def _forward_over_ssh(lab: Lab) -> None:
    forward = SshForward(
        listen=f"{LOCAL_SOCKS}:{SOCKS_PORT}",
        control=str(lab.state / "ssh-socks"),
        options=(*ssh_options(lab), "-p", str(FORWARDING_SSHD_PORT)),
        target=f"{USER}@{guest_address()}",
    )
    lab.journal.apply(forward, SSH_SCOPE)


def _deploy_bundle(guest: Guest) -> None:
    guest.runner.change("mkdir", "-p", FOLDER)
    with tempfile.TemporaryDirectory() as folder:
        guest.put(build_zipapp(Path(folder) / "mpsocks.pyz"), BUNDLE)
    guest.runner.change("chmod", "0755", FOLDER, BUNDLE)


def _write(guest: Guest, remote: str, template: str, values: dict[str, Any]) -> None:
    guest.runner.change("mkdir", "-p", str(Path(remote).parent))
    guest.write(remote, render(UNITS / template, **values))


def _start_instead(guest: Guest, unit: str, port: int, units: list[str], values: dict[str, Any]) -> None:
    """End the others of `units` and start `unit`; return when it listens on `port`."""
    others = [other for other in units if other != unit]
    guest.runner.change("sh", "-c", f"systemctl stop {' '.join(others)} 2>/dev/null || true")
    _write(guest, f"/etc/systemd/system/{unit}.service", f"{unit}.service.j2", values)
    guest.runner.change("systemctl", "daemon-reload")
    try:
        guest.runner.change("systemctl", "restart", unit)
        started = guest.dry or _listens(guest, unit, port)
    except CommandError:
        started = False
    if not started:
        log = guest.runner.probe("journalctl", "-q", "--no-pager", "-n", "15", "-o", "cat", "-u", unit).stdout
        raise MpsocksError(
            f"{unit} does not start in the guest",
            why=log.strip() or f"nothing listens on port {port}, and its journal is empty",
            hint=f"look inside: invoke ssh-vm --command 'systemctl status {unit}'",
        )


def _require_socks_server(guest: Guest) -> None:
    if not guest.dry and not _listening(guest, SOCKS_PORT):
        raise MpsocksError(
            "redsocks has no SOCKS server to hand connections to",
            why=f"nothing in the guest listens on port {SOCKS_PORT}",
            hint="start one first: invoke run-socks --server mpsocks (or dante)",
        )


def _listening(guest: Guest, port: int) -> bool:
    return bool(guest.runner.read("ss", "-H", "-l", "-t", "-n", "sport", "=", f":{port}").strip())


def _listens(guest: Guest, unit: str, port: int) -> bool:
    """Whether the unit comes to listen on the port before its time is over, and without having failed."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and guest.runner.probe("systemctl", "is-active", unit).ok:
        if _listening(guest, port):
            return True
        time.sleep(0.2)
    return False


def _require_programs(guest: Guest, programs: tuple[str, ...]) -> None:
    if guest.dry:
        return
    missing = [name for name in programs if not guest.runner.probe("which", name).ok]
    if missing:
        raise MpsocksError(
            f"the guest has no {', '.join(missing)}",
            why="its image was made without them, and the guest has no way to install anything",
            hint="make the other image and boot it: invoke install-vm-extra shutdown-vm boot-vm --extra",
        )
