"""The machines that a capture looks at: this host, the guest, the emulated internet's servers; and how they are set."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from typing import Any

from lab.runner import Runner

Counters = dict[str, dict[str, int]]
"""`rx_packets`, `tx_dropped` and so on, by interface, as the kernel counts."""
CLOCK_LOOKS = 3
MARK = "=== "
# Not all of tcp_*: tcp_fastopen_key is a secret.
FACTS = {
    "kernel": "uname -srvm",
    "sysctls": "cd /proc/sys/net && grep -s . mptcp/* core/rmem_* core/wmem_* core/default_qdisc ipv4/ip_default_ttl "
    "ipv4/ip_forward ipv4/conf/*/rp_filter $(ls -d ipv4/tcp_* | grep -v _key)",
    "links": "ip -j -s link show",
    "addresses": "ip -j address show",
    "routes": "ip -j -4 route show table all",
    "routes6": "ip -j -6 route show table all",
    "rules": "ip -j -4 rule show",
    "rules6": "ip -j -6 rule show",
    "mptcp_endpoints": "ip -j mptcp endpoint show",
    "mptcp_limits": "ip mptcp limits show",
    "tools": "tcpdump --version; ip -V",
}
AS_JSON = {name for name, command in FACTS.items() if command.startswith("ip -j")}


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine, or a network namespace that is like one."""

    name: str
    """Nothing for this host."""
    through: tuple[str, ...]
    """What goes before a command to run it there, as `lab.steps.Capture` has it."""
    runner: Runner
    folder: str = ""
    """Where captures are written that have to be fetched; nothing when they are written on this host."""

    @property
    def title(self) -> str:
        return self.name or "this host"

    def label(self, interface: str) -> str:
        """What an interface of this machine is called among those of all machines."""
        return f"{self.name}:{interface}" if self.name else interface


@dataclass(frozen=True, slots=True)
class Look:
    """How a machine was when it was looked at."""

    facts: dict[str, Any]
    """Kernel, sysctls, links, addresses, routes, rules, MPTCP endpoints and tools."""
    clock_ahead: float
    """Seconds by which its clock is ahead of this host's."""
    clock_uncertainty: float
    """Seconds by which that may be off; 0 where it is the same clock."""

    @property
    def counters(self) -> Counters:
        return counters(self.facts["links"])

    def clock_note(self) -> str:
        """What a person must know of its clock."""
        if not self.clock_uncertainty:
            return ""
        ahead, off = self.clock_ahead * 1000, self.clock_uncertainty * 1000
        return f", whose clock is {abs(ahead):.1f} ms {'ahead' if ahead > 0 else 'behind'} (within {off:.1f} ms)"

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def look(machine: Machine) -> Look:
    """How the machine is now."""
    return Look(_facts(machine.runner), *(_clock(machine.runner) if machine.folder else (0.0, 0.0)))


def _facts(runner: Runner) -> dict[str, Any]:
    # In one command, since each takes a second in an emulated guest. One that fails has no answer: an old kernel has
    # no MPTCP to tell of.
    script = "\n".join(f'echo "{MARK}{name}"\n({command}) 2>/dev/null' for name, command in FACTS.items())
    answers = runner.read("sh", "-c", f"{script}\ntrue").split(MARK)[1:]
    return {name: _fact(name, text) for name, _, text in (answer.partition("\n") for answer in answers)}


def traffic(runner: Runner) -> Counters:
    """The counters of every interface, by its name: `rx_packets`, `tx_dropped` and so on, as the kernel counts."""
    return counters(runner.read_json("ip", "-j", "-s", "link", "show"))


def counters(links: list[dict[str, Any]]) -> Counters:
    """The counters in what `ip -j -s link` tells."""
    return {
        link["ifname"]: {
            f"{way}_{name}": value
            for way, counted in link.get("stats64", {}).items()
            for name, value in counted.items()
        }
        for link in links
    }


def _clock(runner: Runner) -> tuple[float, float]:
    """Seconds by which its clock is ahead of this host's, and how far that may be off: of a few looks the best one."""
    looks = []
    for _ in range(CLOCK_LOOKS):
        before = time.time_ns()
        there = int(runner.read("date", "+%s%N"))
        after = time.time_ns()
        looks.append(((after - before) / 2e9, (there - (before + after) / 2) / 1e9))
    uncertainty, ahead = min(looks)
    return ahead, uncertainty


def _fact(name: str, answer: str) -> Any:
    if name in AS_JSON:
        return json.loads(answer or "[]")
    if name == "sysctls":
        pairs = (line.partition(":")[::2] for line in answer.splitlines())
        return {f"net.{path.replace('/', '.')}": value.replace("\t", " ") for path, value in pairs}
    if name == "tools":
        return answer.splitlines()
    return answer.strip()
