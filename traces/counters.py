"""What the guest's own kernel counts of MPTCP."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Self

from lab.runner import Runner

AGREED = ("MPTcpExtMPCapableSYNACKRX",)
JOINED = ("MPTcpExtMPJoinSynAckRx",)
# Every counter by which Linux says that a connection went on as plain TCP (net/mptcp/mib.c).
FALLBACKS = (
    "MPTcpExtMPCapableFallbackACK",
    "MPTcpExtMPCapableFallbackSYNACK",
    "MPTcpExtMPFallbackTokenInit",
    "MPTcpExtMPCapableSYNTXDrop",
    "MPTcpExtMPCapableSYNTXDisabled",
    "MPTcpExtDssFallback",
    "MPTcpExtInfiniteMapTx",
    "MPTcpExtInfiniteMapRx",
)
SUBFLOWS = re.compile(r"\bsubflows:(\d+)")


@dataclass(frozen=True, slots=True)
class Counters:
    """Connections whose SYN-ACK agreed to MPTCP, subflows that joined, and connections that fell back."""

    agreed: int
    joined: int
    fallbacks: int

    def __sub__(self, earlier: Self) -> Counters:
        return Counters(self.agreed - earlier.agreed, self.joined - earlier.joined, self.fallbacks - earlier.fallbacks)


def mptcp_counters(runner: Runner) -> Counters:
    """The counters as they stand, from `nstat`."""
    return parse_nstat(runner.read("nstat", "-a", "-s", "-z", "-j"))


def parse_nstat(text: str) -> Counters:
    """The counters in the output of `nstat -j`."""
    values: dict[str, int] = json.loads(text)["kernel"]

    def total(names: tuple[str, ...]) -> int:
        return sum(values.get(name, 0) for name in names)

    return Counters(total(AGREED), total(JOINED), total(FALLBACKS))


def most_subflows(runner: Runner) -> int:
    """The subflows of the MPTCP connection that has most of them now; 0 when there is no connection."""
    return parse_ss(runner.probe("ss", "-M", "-n", "-i", "-H").stdout)


def parse_ss(text: str) -> int:
    """The same from the output of `ss -Mni`, which counts the subflows that came after the initial one."""
    connections = [line for line in text.splitlines() if line.startswith("ESTAB")]
    if not connections:
        return 0
    return 1 + max((int(number) for number in SUBFLOWS.findall(text)), default=0)
