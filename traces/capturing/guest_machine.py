"""The guest as a machine to capture on: one login, by which all commands of a capture go."""

from __future__ import annotations

import os

from guest.connection import CONNECT_SECONDS, FORWARDING_SSHD_PORT, USER, guest_address, ssh_options
from lab.console import last_lines
from lab.context import Lab
from lab.errors import MpsocksError
from lab.plan import tap_plan
from traces.capturing.machine import Machine

IDLE_SECONDS = 60
"""A login that is not used for so long ends by itself, as when the task was killed; the next command makes another."""
PRESENCE = ("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=6")


def guest_machine(lab: Lab) -> Machine:
    """The guest, which is logged in to; with --dry only named. `MpsocksError` when it does not answer."""
    control = (
        "-o",
        f"ControlPath={lab.state / f'ssh-capture-{os.getpid()}'}",
        "-o",
        f"ConnectTimeout={CONNECT_SECONDS}",
    )
    through = ("ssh", *ssh_options(lab), *control, *PRESENCE, f"{USER}@{guest_address()}")
    machine = Machine("guest", through, lab.host.inside(*through), folder=f"/var/tmp/mpsocks-capture-{os.getpid()}")
    if not lab.host.dry:
        log_in(lab, machine)
    return machine


def log_in(lab: Lab, machine: Machine) -> None:
    """Open the login by which others go, unless there is one: a login takes seconds in an emulated guest."""
    first, *rest = machine.through
    shared = ("-o", "ControlMaster=auto", "-o", f"ControlPersist={IDLE_SECONDS}")
    answered = lab.host.probe(first, *shared, *rest, "true")
    if not answered.ok:
        raise MpsocksError(
            f"no SSH connection to the guest at {guest_address()}",
            why=f"{answered.stderr.strip()}; the guest's console says last:\n{last_lines(lab.console)}",
            hint="start it with `invoke boot-vm` or `invoke boot-socks`; `invoke status` shows what stands",
        )


def log_out(lab: Lab, machine: Machine) -> None:
    """End the login, if there is one."""
    lab.host.probe(*machine.through[:-1], "-O", "exit", machine.through[-1])


def without_control(expression: str) -> str:
    """What we do in the guest over SSH is not what is looked for."""
    plan = tap_plan(0)
    control = f"tcp and host {plan.host.ip} and host {plan.guest.ip} and (port 22 or port {FORWARDING_SSHD_PORT})"
    return f"({expression}) and not ({control})" if expression else f"not ({control})"
