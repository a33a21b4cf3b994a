"""Starting services in the guest, each in place of whichever did the same before."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from pathlib import Path

from guest.connection import FORWARDING_SSHD_PORT, USER, Guest, guest_address, ssh_options
from guest.services import (
    BUNDLE,
    FOLDER,
    Service,
    Socksifier,
    SocksServer,
    redirect_ruleset,
    socks_service,
    socksifier_service,
)
from lab.context import Lab
from lab.errors import MpsocksError
from lab.plan import SOCKS_PORT, TapPlan
from lab.runner import CommandError
from lab.steps import SshForward
from proxy.bundle import build_zipapp

START_SECONDS = 30.0
SSH_SCOPE = "socks:ssh"
LOCAL_SOCKS = "127.0.0.1"


def run_socks(lab: Lab, guest: Guest, server: SocksServer, plans: tuple[TapPlan, ...]) -> str:
    """Start `server`; return the address and port at which the lab host reaches it."""
    start(guest, socks_service(server, plans))
    _forward_over_ssh(lab, server)
    return socks_address(lab)


def run_socksifier(guest: Guest, socksifier: Socksifier, plans: tuple[TapPlan, ...]) -> None:
    """Start `socksifier`, and redirect routed TCP connections to it."""
    if socksifier is Socksifier.REDSOCKS:
        _require_socks_server(guest)
    start(guest, socksifier_service(socksifier, plans))
    guest.runner.change("nft", "-f", "-", stdin=redirect_ruleset(plans))


def run_both(lab: Lab, guest: Guest, server: SocksServer, socksifier: Socksifier, plans: tuple[TapPlan, ...]) -> str:
    """Start both at once, which takes half the time; return the address and port of the SOCKS server."""
    start(guest, socks_service(server, plans), socksifier_service(socksifier, plans))
    guest.runner.change("nft", "-f", "-", stdin=redirect_ruleset(plans))
    _forward_over_ssh(lab, server)
    return socks_address(lab)


def start(guest: Guest, *services: Service) -> None:
    """Start services, and return when each listens; `MpsocksError` quotes the journal of one that does not."""
    _require_programs(guest, [name for service in services for name in service.needs])
    rivals = [unit for service in services for unit in service.rivals]
    guest.runner.change("sh", "-c", f"systemctl stop {' '.join(rivals)} 2>/dev/null || true")
    guest.runner.change("mkdir", "-p", FOLDER)
    if any(service.bundled for service in services):
        _deploy_bundle(guest)
    for path, text in (file for service in services for file in service.files):
        guest.write(path, text)
    guest.runner.change("systemctl", "daemon-reload")
    units = [service.unit for service in services]
    with suppress(CommandError):
        # Which one failed is found out below, together with its reason.
        guest.runner.change("systemctl", "restart", *units)
    for service in services:
        _require_listening(guest, service)


def socks_address(lab: Lab) -> str:
    """Address and port at which the lab host reaches the SOCKS server that was started last."""
    forwards = [entry.step.listen for entry in lab.journal.entries() if isinstance(entry.step, SshForward)]
    return forwards[0] if forwards else f"{guest_address()}:{SOCKS_PORT}"


def _forward_over_ssh(lab: Lab, server: SocksServer) -> None:
    """With `ssh` the SOCKS server is a client of the guest on the lab host; with any other there is none."""
    lab.journal.undo(SSH_SCOPE)
    if server is SocksServer.SSH:
        forward = SshForward(
            listen=f"{LOCAL_SOCKS}:{SOCKS_PORT}",
            control=str(lab.state / "ssh-socks"),
            options=(*ssh_options(lab), "-p", str(FORWARDING_SSHD_PORT)),
            target=f"{USER}@{guest_address()}",
        )
        lab.journal.apply(forward, SSH_SCOPE)


def _deploy_bundle(guest: Guest) -> None:
    with tempfile.TemporaryDirectory() as folder:
        guest.put(build_zipapp(Path(folder) / "mpsocks.pyz"), BUNDLE)
    guest.runner.change("chmod", "0755", FOLDER, BUNDLE)


def _require_listening(guest: Guest, service: Service) -> None:
    if guest.dry or _comes_to_listen(guest, service):
        return
    unit = service.unit
    log = guest.runner.probe("journalctl", "-q", "--no-pager", "-n", "15", "-o", "cat", "-u", unit).stdout
    raise MpsocksError(
        f"{unit} does not start in the guest",
        why=log.strip() or f"nothing listens on port {service.port}, and its journal is empty",
        hint=f"look inside: invoke ssh-vm --command 'systemctl status {unit}'",
    )


def _comes_to_listen(guest: Guest, service: Service) -> bool:
    """Whether the service listens before its time is over, and without having failed."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and guest.runner.probe("systemctl", "is-active", service.unit).ok:
        if _listening(guest, service.port):
            return True
        time.sleep(0.2)
    return False


def _listening(guest: Guest, port: int) -> bool:
    return bool(guest.runner.read("ss", "-H", "-l", "-t", "-n", "sport", "=", f":{port}").strip())


def _require_socks_server(guest: Guest) -> None:
    if not guest.dry and not _listening(guest, SOCKS_PORT):
        raise MpsocksError(
            "redsocks has no SOCKS server to hand connections to",
            why=f"nothing in the guest listens on port {SOCKS_PORT}",
            hint="start one first: invoke run-socks --server mpsocks (or dante)",
        )


def _require_programs(guest: Guest, programs: list[str]) -> None:
    if guest.dry or not programs:
        return
    missing = [name for name in programs if not guest.runner.probe("which", name).ok]
    if missing:
        raise MpsocksError(
            f"the guest has no {', '.join(missing)}",
            why="its image was made without them, and the guest has no way to install anything",
            hint="make the other image and boot it: invoke install-vm-extra shutdown-vm boot-vm --extra",
        )
