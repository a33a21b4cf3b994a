"""Measures a target from a vantage: the prober's SYNs, then paired downloads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from traces.neutrality.criteria import LOOKS
from traces.neutrality.json_form import pair_from_json, probe_from_json
from traces.neutrality.model import Arm, Target, Transfer
from traces.neutrality.prober.plan import ROUNDS, Effort
from traces.neutrality.prober.sweep import Pace
from traces.neutrality.speed import is_undecided
from traces.neutrality.vantage import Vantage

START_SECONDS = 30
"""For Python to start in a guest that has no acceleration."""
CONNECT_SECONDS = 2.5
"""For a server to answer, one SYN lost or two; who drops them all is found out soon."""

Tell = Callable[[str], None]
"""Is told how far it is."""


@dataclass(frozen=True, slots=True)
class Aim:
    """A server to measure toward."""

    host: str
    """Its name, as a request names it."""
    address: IPv4Address | IPv6Address
    port: int
    path: str
    """Of a file to download; `{bytes}` in it is replaced by how much is wanted."""
    speaks_mptcp: bool | None = None
    is_near: bool = False

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    effort: Effort = field(default_factory=Effort)
    pace: Pace = field(default_factory=Pace)
    pairs: int = 10
    octets: int = 2_000_000
    """Of each download."""
    seconds: float = 30.0
    """No download takes longer."""

    @property
    def longest_sweep(self) -> float:
        """Seconds within which a sweep has surely ended."""
        shots = len(Arm) * (self.effort.max_ttl + ROUNDS * 8 * self.effort.repeats)
        return START_SECONDS + shots * (self.pace.gap + 0.01) + ROUNDS * self.pace.patience


def measure(vantage: Vantage, aim: Aim, extent: Extent, seed: int, tell: Tell = lambda _: None) -> Target:
    """Everything about one target but its table. The vantage must be ready.

    Where a server is known not to speak MPTCP there are no downloads to compare.
    """
    where: dict[str, object] = {"target": aim.address, "port": aim.port}
    sweep = {
        **where, "interface": vantage.interface, "repeats": extent.effort.repeats, "max-ttl": extent.effort.max_ttl,
        "gap": extent.pace.gap, "patience": extent.pace.patience, "seed": seed,
    }  # fmt: skip
    probes = vantage.probe("syns", sweep, extent.longest_sweep, lambda count: tell(f"{count} SYNs to {aim.name}"))
    return Target(
        name=aim.name,
        speaks_mptcp=aim.speaks_mptcp,
        is_near=aim.is_near,
        probes=tuple(map(probe_from_json, probes)),
        pairs=() if aim.speaks_mptcp is False else _download_pairs(vantage, aim, extent, tell),
    )


def _download_pairs(vantage: Vantage, aim: Aim, extent: Extent, tell: Tell) -> tuple[tuple[Transfer, Transfer], ...]:
    """As many as are asked for, and as many again while the rates cannot be told apart, nor shown to be equal."""
    options = {**download_options(aim, extent.octets, extent.seconds, CONNECT_SECONDS), "count": extent.pairs}
    longest = START_SECONDS + 2 * extent.pairs * extent.seconds
    found: list[tuple[Transfer, Transfer]] = []

    def tell_sum(count: int) -> None:
        tell(f"{len(found) + count} pairs of downloads from {aim.name}")

    for _ in range(LOOKS if extent.pairs else 0):
        found += map(pair_from_json, vantage.probe("pairs", options, longest, tell_sum))
        if not is_undecided(found):
            break
    return tuple(found)


def download_options(aim: Aim, octets: int, seconds: float, patience: float) -> dict[str, object]:
    """The prober's options for a download of so many octets, from a server that answers within `patience` seconds."""
    return {
        "target": aim.address, "port": aim.port, "host": aim.host, "path": aim.path.replace("{bytes}", str(octets)),
        "octets": octets, "seconds": seconds, "patience": patience,
    }  # fmt: skip
