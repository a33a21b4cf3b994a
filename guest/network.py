"""The guest's network: an address per uplink, a routing table per address, and the MPTCP endpoints.

Every command either replaces or is preceded by the removal of what it makes, so configuring twice is the same as once.
"""

from __future__ import annotations

import time

from guest.connection import Guest
from lab.errors import MpsocksError
from lab.plan import TapPlan

SUBFLOWS = 8
SETTINGS = {
    "net/mptcp/enabled": "1",
    "net/ipv4/conf/all/rp_filter": "2",
    "net/ipv4/conf/default/rp_filter": "2",
    "net/ipv4/tcp_fastopen": "3",
    "net/ipv4/icmp_ratelimit": "0",
}


def configure_network(guest: Guest, plans: tuple[TapPlan, ...], nameservers: tuple[str, ...]) -> None:
    """Give the guest its addresses, one table per source address, and its MPTCP endpoints."""
    _require_interfaces(guest, plans)
    guest.runner.change("sysctl", "-q", "-w", *(f"{key}={value}" for key, value in SETTINGS.items()))
    for family in sorted({plan.guest.version for plan in plans}):
        _drop_rules(guest, plans, family)
        guest.runner.change("ip", f"-{family}", "-batch", "-", stdin="\n".join(address_commands(plans, family)))
    guest.runner.change("ip", "mptcp", "endpoint", "flush")
    guest.runner.change("ip", "-batch", "-", stdin="\n".join(endpoint_commands(plans)))
    guest.write("/etc/resolv.conf", "".join(f"nameserver {address}\n" for address in nameservers))
    # A guest that was saved and restored believes that no time has passed.
    guest.runner.change("date", "-u", "-s", f"@{time.time():.0f}")


def address_commands(plans: tuple[TapPlan, ...], family: int) -> list[str]:
    """`ip -batch` commands for addresses, default routes, and a table with a rule per source address."""
    commands: list[str] = []
    for plan in (plan for plan in plans if plan.guest.version == family):
        gateway, table = plan.host.ip, plan.table
        commands += [
            f"link set dev {plan.tap} up",
            f"address replace {plan.guest} dev {plan.tap}",
            f"route replace {plan.guest.network} dev {plan.tap} scope link src {plan.guest.ip} table {table}",
            f"route replace default via {gateway} dev {plan.tap} table {table}",
            f"route replace default via {gateway} dev {plan.tap} metric {100 + plan.n}",
            f"rule add from {plan.guest.ip} lookup {table} priority {table}",
        ]
    return commands


def endpoint_commands(plans: tuple[TapPlan, ...]) -> list[str]:
    """`ip -batch` commands for the path manager: a subflow from every address, and room for what servers announce."""
    limits = f"mptcp limits set subflows {SUBFLOWS} add_addr_accepted {SUBFLOWS}"
    endpoints = [f"mptcp endpoint add {plan.guest.ip} dev {plan.tap} id {plan.n + 1} subflow" for plan in plans]
    return [limits, *endpoints]


def _drop_rules(guest: Guest, plans: tuple[TapPlan, ...], family: int) -> None:
    if guest.dry:
        return
    ours = {plan.table for plan in plans}
    rules = guest.runner.read_json("ip", "-j", f"-{family}", "rule", "show")
    stale = [f"rule delete priority {rule['priority']}" for rule in rules if rule["priority"] in ours]
    if stale:
        guest.runner.change("ip", f"-{family}", "-batch", "-", stdin="\n".join(stale))


def _require_interfaces(guest: Guest, plans: tuple[TapPlan, ...]) -> None:
    if guest.dry:
        return
    there = {link["ifname"] for link in guest.runner.read_json("ip", "-j", "link", "show")}
    missing = [plan.tap for plan in plans if plan.tap not in there]
    if missing:
        raise MpsocksError(
            f"the guest has no interface {', '.join(missing)}",
            why=f"it has: {', '.join(sorted(there))}",
            hint=f"boot it with {len(plans)} taps: invoke shutdown-vm boot-vm --taps {len(plans)}",
        )
