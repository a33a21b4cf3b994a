"""What is concluded of an uplink: verdicts with their evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from traces.neutrality.model import Arm


class Kind(StrEnum):
    """What a network may do to MPTCP."""

    TRANSPARENT = "transparent"
    OPTION_STRIPPED = "option-stripped"
    OPTION_SYN_DROPPED = "option-syn-dropped"
    INTERCEPTED = "intercepted"
    RATE_DIFFERENTIATED = "rate-differentiated"
    INCONCLUSIVE = "inconclusive"

    @property
    def accuses(self) -> bool:
        """Whether it says that the network interferes."""
        return self not in {Kind.TRANSPARENT, Kind.INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One conclusion about one target."""

    kind: Kind
    evidence: str
    """What was seen, and what that is consistent with."""
    arm: Arm | None = None
    """Which SYNs it is about, where it is about some."""
    hop: int | None = None
    """The lowest TTL, as seen on the uplink, that is answered, or whose ICMP quote shows the change."""
    reason: str = ""
    """Why nothing is concluded."""
    p_value: float | None = None
    """After Holm's correction where several tests were made; None where there was none to make."""

    def __str__(self) -> str:
        """Such as `intercepted(plain)@5`."""
        name: str = self.kind
        if self.kind is Kind.INTERCEPTED:
            name += f"({self.arm})"
        elif self.kind is Kind.INCONCLUSIVE:
            name += f"({self.reason})"
        return name if self.hop is None else f"{name}@{self.hop}"


def inconclusive(reason: str, evidence: str, p_value: float | None = None) -> Verdict:
    """That something cannot be told, and why: in words that say what would help."""
    return Verdict(Kind.INCONCLUSIVE, evidence, reason=reason, p_value=p_value)
