"""The addressing plan: what tap, addresses, MAC, table and priority belong to guest interface number n.

The numbers are those of the origin project: 10.66.(6+n).0/24 with the host at .1 and the guest at .2, tap `mptcp<n>`,
routing table 665+n, SOCKS on port 6666.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from lab.errors import BadInputError

Interface = IPv4Interface | IPv6Interface

MAX_TAPS = 8  # the kernel's path manager holds eight endpoints (MPTCP_PM_ADDR_MAX)
GUEST_NAME = "mpsocks"
SOCKS_PORT = 6666
REDIRECT_PORT = 6667
LAB_NETWORK = "10.66.0.0/20"  # holds the network of every possible tap, and nothing else of ours


@dataclass(frozen=True, slots=True)
class TapPlan:
    """Everything that follows from a tap's number."""

    n: int
    tap: str
    """Interface name, the same on the host and in the guest."""
    mac: str
    """MAC address of the guest's end, by which the guest finds it."""
    host: Interface
    """Address of the host's end, with its prefix length."""
    guest: Interface
    """Address of the guest's end, with its prefix length."""
    table: int
    """Routing table of this uplink, on the host and in the guest; also the priority of the rule that leads to it."""


def tap_plan(n: int) -> TapPlan:
    """The plan of tap `n`; `BadInputError` when there can be no such tap."""
    if not 0 <= n < MAX_TAPS:
        raise BadInputError(
            f"there is no tap {n}",
            why=f"taps are numbered 0 to {MAX_TAPS - 1}: an MPTCP path manager holds {MAX_TAPS} addresses",
            hint=f"choose a number from 0 to {MAX_TAPS - 1}",
        )
    return TapPlan(
        n=n,
        tap=f"mptcp{n}",
        mac=f"52:54:00:66:06:{n:02x}",
        host=ip_interface(f"10.66.{6 + n}.1/24"),
        guest=ip_interface(f"10.66.{6 + n}.2/24"),
        table=665 + n,
    )


def tap_plans(count: int) -> tuple[TapPlan, ...]:
    """The plans of taps 0 to `count` - 1."""
    if count < 1:
        raise BadInputError("no uplink was named", hint="name at least one, as in --itf wlp1s0,wlan1")
    return tuple(tap_plan(n) for n in range(count))
