"""`demo`: the whole way in the emulated internet, and a table of what was seen."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from lab.context import Lab
from traces.checking.verdict import EXIT_CODES
from traces.inside import UPLINKS, emulated_internet, report_of, require_success, run_task, task_argv


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo saw: the lab that came up and the verdict, as their tasks report them, and the stages' seconds."""

    running: dict[str, Any]
    verdict: dict[str, Any]
    stages: tuple[tuple[str, float], ...]
    exit_code: int

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """A short table: uplinks with subflows and octets, the sentence, and how long each stage took."""
        # Two transfers: through the SOCKS server, and by a route.
        rows = [f"{'uplink':<10}{'subflows':>9}{'octets down':>14}{'octets up':>12}"]
        for share in self.verdict["shares"]:
            rows.append(f"{share['name']:<10}{share['subflows']:>9}{share['bytes_down']:>14}{share['bytes_up']:>12}")
        boots = [f"{name:<44}{seconds:>7.1f} s" for name, seconds in boot_times(self.running["boot"])]
        return [
            "",
            *rows,
            "",
            f"the server says: {self.verdict['sentence'] or 'nothing'}",
            f"MPTCP over every uplink: {self.verdict['outcome']}",
            "",
            *(f"{title:<44}{seconds:>7.1f} s" for title, seconds in self.stages),
            *boots,
        ]


def boot_times(boot: dict[str, Any]) -> list[tuple[str, float]]:
    """The ways in which the guest came up, now or when it was saved, and the seconds that they took."""
    ways = {"cold": "cold boot to SSH", "cold_when_saved": "cold boot to SSH, when saved", "warm": "warm boot to SSH"}
    return [(f"{name} ({boot['accel']})", boot[key]) for key, name in ways.items() if boot[key] is not None]


NOTHING_SEEN = DemoResult(
    running={"boot": {"accel": "", "cold": None, "cold_when_saved": None, "warm": None}},
    verdict={"shares": [], "sentence": "", "outcome": "not tried"},
    stages=(),
    exit_code=0,
)


def run_demo(lab: Lab, *, cold: bool, keep: bool) -> DemoResult:
    """Build, boot in the emulated internet, check, clean; with `keep`, leave it standing."""
    with emulated_internet(lab, keep=keep):
        return _boot_and_check(lab, cold=cold)


def _boot_and_check(lab: Lab, *, cold: bool) -> DemoResult:
    options = ["--cold"] if cold else []
    boot_socks = ("boot-socks", "--itf", UPLINKS, "--detach", *options)
    if lab.host.dry:
        for task in (boot_socks, ("check-mptcp",)):
            lab.host.change(*task_argv(lab, *task, "--json"))
        return NOTHING_SEEN
    running = report_of(lab, *boot_socks, failed="the lab did not come up")
    before = _seconds(lab)
    with lab.progress.stage("checking MPTCP"):
        checked = run_task(lab, "check-mptcp", "--json")
        if checked.exit_code not in EXIT_CODES.values() or not checked.stdout.startswith("{"):
            require_success("the check did not finish", checked)
    verdict = json.loads(checked.stdout)
    inside = [(title, seconds) for title, seconds in running["stages"]]
    stages = (*before, *inside, *_seconds(lab)[len(before) :])
    return DemoResult(running, verdict, stages, checked.exit_code)


def _seconds(lab: Lab) -> list[tuple[str, float]]:
    """Title and seconds of every stage that has ended."""
    return [(timing.title, timing.seconds) for timing in lab.progress.timings]
