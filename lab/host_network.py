"""Wiring the guest to the uplinks: taps, NAT, and one routing table per tap, as journalled steps."""

from __future__ import annotations

from pathlib import Path

from lab.errors import MpsocksError
from lab.journal import Journal
from lab.plan import TapPlan
from lab.runner import Runner
from lab.steps import NftTable, Route, RoutingRule, Sysctl, Tap
from lab.templates import render
from lab.uplinks import Uplink, require_interface


def tap_scope(plan: TapPlan) -> str:
    """Scope of what `configure_tap` does."""
    return f"tap:{plan.n}"


def nat_scope(plan: TapPlan) -> str:
    """Scope of what `configure_nat` does."""
    return f"nat:{plan.n}"


def routing_scope(plan: TapPlan) -> str:
    """Scope of what `configure_source_routing` does."""
    return f"source-routing:{plan.n}"


def configure_tap(journal: Journal, plan: TapPlan) -> None:
    """Make the tap on which guest interface n will end."""
    with journal.transaction():
        journal.apply(Tap(plan.tap, str(plan.host)), tap_scope(plan))
        journal.apply(_forwarding(plan.tap, plan), tap_scope(plan))


def configure_nat(journal: Journal, plan: TapPlan, uplink: str) -> None:
    """Let the guest out over `uplink` behind that uplink's address, and let nothing in but its answers."""
    require_interface(journal.host, uplink)
    require_tap(journal.host, plan)
    table = f"mpsocks-nat-{plan.n}"
    ruleset = render(
        Path(__file__).with_name("nat.nft.j2"),
        table=table,
        uplink=uplink,
        tap=plan.tap,
        ip="ip" if plan.guest.version == 4 else "ip6",
        network=str(plan.guest.network),
        guard_uplink=not _forwarded_before(journal, _forwarding(uplink, plan)),
    )
    with journal.transaction():
        # The rules come first: forwarding must not be on for a moment without them.
        journal.apply(NftTable("inet", table, ruleset), nat_scope(plan))
        # Forwarding per interface, not ip_forward: that would make the host a router between all its networks,
        # and writing it resets settings of every interface that could not be put back.
        journal.apply(_forwarding(uplink, plan), nat_scope(plan))


def configure_source_routing(journal: Journal, plan: TapPlan, uplink: Uplink) -> None:
    """Send what comes from guest interface n over `uplink`, and over no other when that one is gone."""
    require_tap(journal.host, plan)
    version = plan.guest.version
    table = str(plan.table)
    scope = routing_scope(plan)
    with journal.transaction():
        journal.apply(Route(version, table, "default", uplink.path), scope)
        # When the uplink goes down the kernel drops the route above. Without this one the packets would fall through
        # to the main table and leave over another uplink, with an address that is not NATed there.
        journal.apply(Route(version, table, "unreachable default", ("metric", "4294967295")), scope)
        # From the guest's own address only: the host's end of the tap must go on using the host's routes.
        journal.apply(RoutingRule(version, str(plan.guest.ip), plan.table, plan.table), scope)


def require_tap(host: Runner, plan: TapPlan) -> None:
    """Refuse to go on without the tap."""
    if not host.dry and not Tap(plan.tap, str(plan.host)).stands(host):
        raise MpsocksError(f"there is no tap {plan.tap}", hint=f"make it first: invoke configure-host-tap {plan.n}")


def _forwarding(interface: str, plan: TapPlan) -> Sysctl:
    return Sysctl(f"net/ipv{plan.guest.version}/conf/{interface}/forwarding", "1")


def _forwarded_before(journal: Journal, wanted: Sysctl) -> bool:
    """Whether the uplink forwarded before mpsocks touched it."""
    if not wanted.stands(journal.host):
        return False
    ours = (entry.step for entry in journal.entries() if entry.step.subject == wanted.subject)
    return all(isinstance(step, Sysctl) and step.previous == "1" for step in ours)
