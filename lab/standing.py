"""What stands on the lab host, read from the journal."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from lab import vm
from lab.context import Lab
from lab.host_network import routing_scope, tap_scope
from lab.journal import Entry
from lab.plan import MAX_TAPS, TapPlan, tap_plan
from lab.steps import Route


@dataclass(frozen=True, slots=True)
class StandingStep:
    """One change to the host: what it is, to what it belongs, and whether it is still in force."""

    scope: str
    subject: str
    stands: bool


@dataclass(frozen=True, slots=True)
class Status:
    """The whole lab."""

    steps: tuple[StandingStep, ...]
    uplinks: dict[int, str]
    """Uplink by tap number."""
    guest_runs: bool

    def lines(self) -> list[str]:
        """The status for a person."""
        if not self.steps:
            return ["nothing stands"]
        steps = [f"{'✓' if s.stands else '✗ gone:'} {s.scope:<18} {s.subject}" for s in self.steps]
        uplinks = [f"mptcp{n} → {name}" for n, name in self.uplinks.items()]
        return [*steps, *uplinks, f"guest: {'running' if self.guest_runs else 'not running'}"]

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def status(lab: Lab) -> Status:
    """What stands now, each step asked whether it is in force."""
    entries = lab.journal.entries()
    steps = tuple(StandingStep(e.scope, e.step.subject, e.step.stands(lab.host)) for e in entries)
    return Status(steps, {plan.n: name for plan, name in standing_uplinks(lab)}, vm.is_running(lab))


def standing_taps(lab: Lab) -> tuple[TapPlan, ...]:
    """The taps that were made, by number."""
    scopes = {entry.scope for entry in lab.journal.entries()}
    return tuple(plan for plan in map(tap_plan, range(MAX_TAPS)) if tap_scope(plan) in scopes)


def standing_uplinks(lab: Lab) -> tuple[tuple[TapPlan, str], ...]:
    """Each tap that has an uplink, with the uplink's name."""
    entries = lab.journal.entries()
    found = ((plan, _uplink(entries, routing_scope(plan))) for plan in standing_taps(lab))
    return tuple((plan, name) for plan, name in found if name)


def _uplink(entries: list[Entry], scope: str) -> str:
    for entry in entries:
        if entry.scope == scope and isinstance(entry.step, Route) and "dev" in entry.step.path:
            return entry.step.path[entry.step.path.index("dev") + 1]
    return ""
