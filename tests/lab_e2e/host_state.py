"""What a host looks like to whoever must find it unchanged: addresses, routes, rules, nftables, sysctls, domains."""

from __future__ import annotations

import json
import re
from typing import Any

from lab.libvirt_host import EMBEDDED, LibvirtHost
from tests.lab_e2e.cli import Cli, succeeded

COMMANDS = {
    "addresses": ("ip", "-j", "address", "show"),
    "routes": ("ip", "-j", "-4", "route", "show", "table", "all"),
    "routes6": ("ip", "-j", "-6", "route", "show", "table", "all"),
    "rules": ("ip", "-j", "-4", "rule", "show"),
    "rules6": ("ip", "-j", "-6", "rule", "show"),
    "ruleset": ("nft", "list", "ruleset"),
    "sysctls": ("sysctl", "-a", "-r", r"^net\.ipv[46]\.(ip_forward|conf\..*\.(forwarding|rp_filter))|^net\.mptcp\."),
    "processes": ("sh", "-c", "ps -eo pid,netns,args | awk -v n=$(readlink /proc/$$/ns/net | tr -dc 0-9) '$2 == n'"),
}
COUNTERS = re.compile(r"packets \d+ bytes \d+")


def host_state(cli: Cli) -> dict[str, Any]:
    """The emulated lab host as it is now. Two of these are equal when nothing was left behind."""
    state = {name: _normal(name, succeeded(cli.inside(*command)).stdout) for name, command in COMMANDS.items()}
    libvirt = LibvirtHost(EMBEDDED, cli.inner_state / "libvirt", cli.state_home / "capabilities")
    return {**state, "domains": libvirt.domains()}


def _normal(name: str, text: str) -> Any:
    if name == "processes":
        # Programs that stay: those that only look, as this one does, come and go.
        return sorted(line.split(maxsplit=2)[2] for line in text.splitlines() if "qemu" in line or "tcpdump" in line)
    if name in ("ruleset", "sysctls"):
        return COUNTERS.sub("", text)
    # The kernel numbers what it makes anew; what matters is what there is.
    volatile = {"ifindex", "link_index", "expires"}
    items = [{key: value for key, value in item.items() if key not in volatile} for item in json.loads(text or "[]")]
    return sorted(items, key=json.dumps)
