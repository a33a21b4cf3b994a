"""Emulated boxes between a handful of namespaces, and the measurement of a path with one of them on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.context import Lab
from lab.journal import Journal
from lab.steps import NetworkNamespace
from lab.testbed.build import build, exec_prefix
from lab.testbed.corridor import CLIENT_DEVICE, corridor, intercepting
from lab.testbed.model import DropSyns, Interference, Lose, Rate, Strip, Topology
from traces.neutrality.measuring import Aim, Extent, measure
from traces.neutrality.model import Measurement
from traces.neutrality.prober.bundle import build_prober
from traces.neutrality.prober.plan import Effort
from traces.neutrality.prober.sweep import Pace
from traces.neutrality.vantage import Vantage, ready

LINE = Rate(100_000_000)
NARROW_LINE = Rate(40_000_000)
PASSING = Rate(35_000_000)
"""The line's rate, that of the path with a rate limit on everything, and that of MPTCP past the interception box."""
LOST_PERMILLE = 20
QUICK = Extent(Effort(max_ttl=8), Pace(gap=0.005, patience=0.3), pairs=10, octets=300_000, seconds=10)
SCOPE = "boxes"


class Box(StrEnum):
    """What is on the path."""

    CLEAN = "clean network"
    STRIPPING = "option-stripping box"
    SYN_DROPPING = "SYN-dropping box"
    INTERCEPTING = "intercepting box"
    LOSSY = "random-loss link"
    RATE_LIMITED = "rate limit on everything"

    @property
    def interference(self) -> Interference | None:
        """What the box does; the other networks are as there are many."""
        interferences: dict[Box, Interference] = {
            Box.STRIPPING: Strip(),
            Box.SYN_DROPPING: DropSyns(),
            Box.INTERCEPTING: intercepting(PASSING),
            Box.LOSSY: Lose(LOST_PERMILLE),
        }
        return interferences.get(self)


@dataclass(frozen=True, slots=True)
class EmulatedPath:
    """An emulated path that stands, and where it is measured from."""

    box: Box
    vantage: Vantage
    aims: tuple[Aim, ...]
    """A server that speaks MPTCP, one that does not, and the near control."""


@contextmanager
def standing(box: Box, lab: Lab, prefix: str) -> Iterator[EmulatedPath]:
    """Build the path under names that begin with `prefix`, and remove it with all that runs in it.

    Its namespaces are journalled steps: whatever happens, `clean` finds them.
    """
    plan = corridor(prefix, NARROW_LINE if box is Box.RATE_LIMITED else LINE, box.interference)
    folder = lab.state / SCOPE / prefix
    scope = f"{SCOPE}:{prefix}"
    try:
        build(plan, lab.host, lab.progress, folder, lambda name: lab.journal.apply(NetworkNamespace(name), scope))
        yield EmulatedPath(box, _vantage(lab, plan, folder), _aims(plan))
    finally:
        lab.journal.undo(scope)
        lab.host.change("rm", "-rf", folder)


def measure_path(path: EmulatedPath, seed: int, extent: Extent = QUICK) -> Measurement:
    """The measurement of a path that stands, as `check-neutrality` would take it of an uplink."""
    with ready(path.vantage):
        targets = tuple(measure(path.vantage, aim, extent, seed + number) for number, aim in enumerate(path.aims))
    return Measurement(uplink=CLIENT_DEVICE, ttl_offset=0, targets=targets)


def _vantage(lab: Lab, plan: Topology, folder: Path) -> Vantage:
    client = lab.host.inside(*exec_prefix(plan.lab))
    source = next(plan.devices_of(plan.lab)).addresses[0].ip
    prober = folder / "prober.pyz"
    if not lab.host.dry:
        build_prober(prober)
    return Vantage(
        client, (sys.executable, "-I", "-S", str(prober)), CLIENT_DEVICE, source, Journal(folder / "client", client)
    )


def _aims(plan: Topology) -> tuple[Aim, ...]:
    return tuple(
        Aim(name, plan.address_of(name), 80, "/bytes/{bytes}", speaks_mptcp=name != "plain", is_near=name == "near")
        for name in ("web", "plain", "near")
    )
