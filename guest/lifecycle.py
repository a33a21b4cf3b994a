"""The whole way up: uplinks, guest, its network, the SOCKS server and the socksifier."""

from __future__ import annotations

import dataclasses
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from guest.boot import Boot, boot, require_no_guest
from guest.connection import guest
from guest.network import configure_network
from guest.resolvers import host_nameservers
from guest.services import Socksifier, SocksServer, needs_extra_image, require_fit
from guest.start import SSH_SCOPE, run_both
from lab import vm
from lab.context import Lab
from lab.doctor import forward_policy
from lab.errors import MpsocksError
from lab.host_network import (
    configure_nat,
    configure_source_routing,
    configure_tap,
    nat_scope,
    routing_scope,
    tap_scope,
)
from lab.parts import guest_image, guest_kernel
from lab.plan import TapPlan, tap_plans
from lab.settings import split_list
from lab.standing import standing_taps
from lab.uplinks import Uplink, find_uplink


@dataclass(frozen=True, slots=True)
class Running:
    """A lab that is up. `stages` are the title and seconds of everything that was waited for."""

    uplinks: dict[str, str]
    """Uplink by tap."""
    socks: str
    """Address and port of the SOCKS server."""
    route: str
    """The address to route connections through."""
    boot: Boot
    stages: tuple[tuple[str, float], ...]

    def lines(self) -> list[str]:
        """What a person needs to use it."""
        uplinks = [f"{tap} → {name}" for tap, name in self.uplinks.items()]
        use = [f"SOCKS server: {self.socks}", f"route through: {self.route}"]
        return [*uplinks, *self.boot.lines(), *use]

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def boot_socks(lab: Lab, itf: str, gateway: str, server: SocksServer, socksifier: Socksifier, *, cold: bool) -> Running:
    """Bring everything up for the uplinks in `itf`; when anything fails, the host is as it was before."""
    require_fit(server, socksifier)
    names = split_list(itf)
    plans = tap_plans(len(names))
    uplinks = find_uplinks(lab, names, gateway)
    require_no_guest(lab)
    nameservers = guest_nameservers(lab)
    _warn_of_firewall(lab)
    image = guest_image(lab, extra=needs_extra_image(server, socksifier))
    kernel = guest_kernel(lab)
    with lab.journal.transaction():
        with lab.progress.stage("wiring the uplinks"):
            for plan, uplink in zip(plans, uplinks, strict=True):
                configure_tap(lab.journal, plan)
                configure_nat(lab.journal, plan, uplink.name)
                configure_source_routing(lab.journal, plan, uplink)
        booted = boot(lab, image, kernel, plans, cold=cold)
        with lab.progress.stage("configuring the guest"), guest(lab) as inside:
            configure_network(inside, plans, nameservers)
            socks = run_both(lab, inside, server, socksifier, plans)
    return Running(
        uplinks={plan.tap: uplink.name for plan, uplink in zip(plans, uplinks, strict=True)},
        socks=socks,
        route=str(plans[0].guest.ip),
        boot=booted,
        stages=tuple((timing.title, timing.seconds) for timing in lab.progress.timings),
    )


def find_uplinks(lab: Lab, names: tuple[str, ...], gateway: str) -> list[Uplink]:
    """The uplinks by name; `gateway` holds one gateway per uplink, or nothing."""
    gateways = split_list(gateway) or ("",) * len(names)
    if len(gateways) != len(names):
        raise MpsocksError(
            f"{len(gateways)} gateways for {len(names)} uplinks", hint="name one for each, in the same order, or none"
        )
    return [find_uplink(lab.host, name, address) for name, address in zip(names, gateways, strict=True)]


def require_taps(lab: Lab) -> tuple[TapPlan, ...]:
    """The taps that stand, for tasks that work on a guest that is already there."""
    plans = standing_taps(lab)
    if not plans and not lab.host.dry:
        raise MpsocksError(
            "no tap is set up, so there is no guest to work on",
            hint="start everything: invoke boot-socks --itf wlp1s0,wlan1 --detach",
        )
    return plans or tap_plans(1)


def guest_nameservers(lab: Lab) -> tuple[str, ...]:
    """What the guest is to ask for names: as configured, or the lab host's own."""
    return split_list(lab.settings.guest.nameservers) or host_nameservers(lab.host)


def wait_for_interrupt() -> None:
    """Wait for ^C, holding nothing."""
    with suppress(KeyboardInterrupt):
        signal.pause()


def take_down(lab: Lab, itf: str) -> None:
    """Take back everything that `boot_socks` did for the uplinks in `itf`, and nothing that was there before it."""
    plans = tap_plans(len(split_list(itf)))
    of_taps = (scope(plan) for plan in plans for scope in (tap_scope, nat_scope, routing_scope))
    lab.journal.undo(vm.SCOPE, SSH_SCOPE, *of_taps)


def _warn_of_firewall(lab: Lab) -> None:
    finding = forward_policy(lab.host)
    if not finding.ok:
        lab.progress.line(f"  the guest may not get out: {finding.detail}; {finding.remedy}")
