"""What `check-mptcp` concludes: findings, each proven, disproved or not proven."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from traces.checking.subflows import Subflow


class Outcome(StrEnum):
    PROVEN = "proven"
    DISPROVED = "disproved"
    NOT_PROVEN = "not proven"


EXIT_CODES = {Outcome.PROVEN: 0, Outcome.DISPROVED: 1, Outcome.NOT_PROVEN: 2}
ERROR_CODE = 3  # there is no verdict: no lab, a URL that is none, a capture that cannot be taken


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must hold, whether it does, and by what that is known."""

    way: str
    """`socks` or `routed`."""
    claim: str
    outcome: Outcome
    evidence: str


@dataclass(frozen=True, slots=True)
class UplinkShare:
    """What one uplink carried: payload octets on the wire, both ways."""

    name: str
    subflows: int
    bytes_up: int
    bytes_down: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings, and what the uplinks carried of the bulk transfers."""

    findings: tuple[Finding, ...]
    shares: tuple[UplinkShare, ...]
    sentence: str
    """What the server's page said, empty when it said nothing."""

    @property
    def outcome(self) -> Outcome:
        """Disproved if anything is, else not proven if anything is not, else proven."""
        outcomes = {finding.outcome for finding in self.findings}
        for outcome in (Outcome.DISPROVED, Outcome.NOT_PROVEN):
            if outcome in outcomes:
                return outcome
        return Outcome.PROVEN

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.outcome]

    def lines(self) -> list[str]:
        """The verdict for a person."""
        marks = {Outcome.PROVEN: "✓", Outcome.DISPROVED: "✗", Outcome.NOT_PROVEN: "?"}
        found = [f"{marks[f.outcome]} {f.way:<6} {f.claim}: {f.evidence}" for f in self.findings]
        carried = [f"{s.name}: {s.subflows} subflows, {s.bytes_down} octets down, {s.bytes_up} up" for s in self.shares]
        return [*found, *carried, f"MPTCP over every uplink: {self.outcome}"]

    def as_json(self) -> dict[str, Any]:
        return {"outcome": self.outcome, **dataclasses.asdict(self)}


def shares(uplinks: Iterable[str], subflows: Iterable[Subflow]) -> tuple[UplinkShare, ...]:
    """What each uplink carried, those without a subflow too."""
    agreed = [subflow for subflow in subflows if subflow.agreed]
    return tuple(
        UplinkShare(
            name,
            sum(1 for subflow in agreed if subflow.uplink == name),
            sum(subflow.bytes_up for subflow in agreed if subflow.uplink == name),
            sum(subflow.bytes_down for subflow in agreed if subflow.uplink == name),
        )
        for name in dict.fromkeys(uplinks)
    )


def widest_connection(subflows: Iterable[Subflow]) -> list[Subflow]:
    """The agreed subflows of the connection that carried most: the bulk transfer, when there was one."""
    connections: dict[str, list[Subflow]] = {}
    for subflow in subflows:
        if subflow.agreed:
            connections.setdefault(subflow.connection, []).append(subflow)
    return max(connections.values(), key=lambda flows: sum(flow.bytes_down for flow in flows), default=[])
