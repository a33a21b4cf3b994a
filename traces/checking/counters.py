"""What the guest's own kernel counts of MPTCP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from lab.runner import Runner

AGREED = ("MPTcpExtMPCapableSYNACKRX",)
JOINED = ("MPTcpExtMPJoinSynAckRx",)
# By these Linux says that a connection went on as plain TCP (net/mptcp/mib.c): all with "Fallback" in their names, of
# which there are more with every release, except for the one that counts connections that could not; and a few others.
FALLBACK = re.compile(r"MPTcpExt\w*Fallback(?!Failed)\w*")
OTHER_FALLBACKS = (
    "MPTcpExtMPCapableSYNTXDrop",
    "MPTcpExtMPCapableSYNTXDisabled",
    "MPTcpExtInfiniteMapTx",
    "MPTcpExtInfiniteMapRx",
)
SUBFLOWS = re.compile(r"\bsubflows:(\d+)")


@dataclass(frozen=True, slots=True)
class Counters:
    """Of the whole guest: SYN-ACKs that agreed to MPTCP, subflows that joined, and signs of a fallback."""

    agreed: int
    joined: int
    fallbacks: int

    def __sub__(self, earlier: Self) -> Counters:
        return Counters(self.agreed - earlier.agreed, self.joined - earlier.joined, self.fallbacks - earlier.fallbacks)


def mptcp_counters(runner: Runner) -> Counters:
    """The counters as they stand, from `nstat`."""
    return parse_nstat(runner.read("nstat", "-a", "-s", "-z", "-j"))


def parse_nstat(text: str) -> Counters:
    """The counters in the output of `nstat -j`; one that the kernel does not have counts 0."""
    values: dict[str, int] = json.loads(text)["kernel"]

    def total(names: Iterable[str]) -> int:
        return sum(values.get(name, 0) for name in names)

    fallbacks = {*filter(FALLBACK.fullmatch, values), *OTHER_FALLBACKS}
    return Counters(total(AGREED), total(JOINED), total(fallbacks))


def most_subflows(runner: Runner) -> int:
    """The subflows of the MPTCP connection that has most of them now; 0 when there is no connection."""
    return parse_ss(runner.probe("ss", "-M", "-n", "-i", "-H").stdout)


def parse_ss(text: str) -> int:
    """The same from the output of `ss -Mni`, which counts the subflows that came after the initial one."""
    connections = [line for line in text.splitlines() if line.startswith("ESTAB")]
    if not connections:
        return 0
    return 1 + max((int(number) for number in SUBFLOWS.findall(text)), default=0)
