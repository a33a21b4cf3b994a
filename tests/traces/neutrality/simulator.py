"""Measurements as they would be through networks of each kind, drawn at random: what a judge can be tried on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from traces.neutrality.model import Answer, Arm, Measurement, Probe, Quote, Reply, Target, Transfer

TTLS = (*range(1, 18), 64)
MPTCP_ARMS = frozenset({Arm.V1, Arm.V0})
LINUX_OPTIONS = (2, 4, 8, 1, 3)
WINDOWS_OPTIONS = (2, 1, 3, 1, 1, 4)
HOP_SECONDS = 0.002


class Box(Enum):
    """What a box on the way does to SYNs of its arms."""

    STRIP = auto()
    DROP = auto()
    RESET = auto()
    INTERCEPT = auto()


@dataclass(frozen=True)
class Network:
    """A path with a server at its end, and perhaps a box on it."""

    distance: int = 14
    """TTL that suffices to reach the server."""
    loss: float = 0.0
    """Chance that a packet gets lost, in each direction."""
    lengths: Sequence[int] = (0,)
    """Hops more that a probe may take, one of them at random: paths in parallel."""
    server_mptcp: bool = True
    agreeing: float = 1.0
    """Share of the servers behind the name that speak MPTCP."""
    box: Box | None = None
    box_hop: int = 5
    box_ttl: int = 128
    """With which an intercepting box answers."""
    box_arms: frozenset[Arm] = MPTCP_ARMS
    quotes: bool = True
    """Whether routers tell of SYNs whose TTL is used up."""
    quote_options: bool = True
    mptcp_factor: float = 1.0
    """How fast MPTCP is carried compared with plain TCP."""
    spread: float = 0.05
    """Standard deviation of the logarithm of a rate."""
    rate: float = 8e6


@dataclass
class Simulator:
    """Draws measurements from one seed."""

    seed: int
    repeats: int = 5
    pairs: int = 10
    ttls: Sequence[int] = TTLS
    ttl_offset: int = 1
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def measurement(self, *targets: Target) -> Measurement:
        return Measurement("wlan1", self.ttl_offset, targets)

    def target(self, network: Network, name: str = "mptcp.test", **known: bool | None) -> Target:
        """All arms at all TTLs, and pairs of transfers where the server speaks MPTCP."""
        probes = tuple(self._probe(network, arm, ttl) for arm in Arm for ttl in self.ttls for _ in range(self.repeats))
        stripped = network.box is not None and Arm.V1 in network.box_arms
        agreed = network.server_mptcp and not stripped
        pairs = tuple(self._pair(network, agreed) for _ in range(self.pairs if network.server_mptcp else 0))
        speaks = known.get("speaks_mptcp", network.server_mptcp)
        return Target(name, speaks, bool(known.get("is_near")), probes, pairs)

    def _probe(self, network: Network, arm: Arm, ttl: int) -> Probe:
        sent = ttl + self.ttl_offset
        met = network.box if arm in network.box_arms and ttl >= network.box_hop else None
        distance = network.distance + self.random.choice(network.lengths)
        if self.random.random() < network.loss or self.random.random() < network.loss:
            return Probe(arm, sent, Answer.NONE, None)
        if met is Box.INTERCEPT:
            return self._answered(arm, sent, self._reply(network.box_ttl, network.box_hop, WINDOWS_OPTIONS, False))
        if met is Box.RESET:
            return Probe(arm, sent, Answer.RST, 0.01)
        if met is Box.DROP:
            return Probe(arm, sent, Answer.NONE, None)
        if ttl < distance:
            return self._exceeded(network, arm, sent, met is Box.STRIP)
        speaks = network.server_mptcp and self.random.random() < network.agreeing
        agrees = arm is Arm.V1 and speaks and met is not Box.STRIP
        return self._answered(arm, sent, self._reply(64, distance, LINUX_OPTIONS, agrees))

    def _exceeded(self, network: Network, arm: Arm, sent: int, stripped: bool) -> Probe:
        if not network.quotes:
            return Probe(arm, sent, Answer.NONE, None)
        changed = (f"option {253 if arm is Arm.DUMMY else 30}",) if stripped and network.quote_options else ()
        quote = Quote(f"198.18.0.{sent}", changed, network.quote_options)
        return Probe(arm, sent, Answer.TIME_EXCEEDED, HOP_SECONDS * sent, quote=quote)

    def _reply(self, initial: int, distance: int, options: tuple[int, ...], mptcp: bool) -> Reply:
        ttl = initial - (distance - 1) - self.ttl_offset
        all_options = (*options, 30) if mptcp else options
        return Reply(ttl, 65160, 1460, 7, all_options, 8 in options, mptcp)

    def _answered(self, arm: Arm, sent: int, reply: Reply) -> Probe:
        return Probe(arm, sent, Answer.SYN_ACK, HOP_SECONDS * self.random.uniform(5, 6), reply)

    def _pair(self, network: Network, agreed: bool) -> tuple[Transfer, Transfer]:
        factor = network.mptcp_factor
        return self._transfer(network, False, False, 1.0), self._transfer(network, True, agreed, factor)

    def _transfer(self, network: Network, multipath: bool, agreed: bool, factor: float) -> Transfer:
        octets = 2_000_000
        rate = network.rate * factor * self.random.lognormvariate(0, network.spread)
        return Transfer(multipath, agreed, octets, octets / rate, True)
