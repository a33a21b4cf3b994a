"""What the probes of one arm add up to: from which TTL on it is answered, by what, and how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median

from traces.neutrality.model import Answer, Arm, Probe, Reply, Target
from traces.neutrality.prober.packets import END_OF_OPTIONS, MPTCP, NO_OPERATION

INITIAL_TTLS = (64, 128, 255)
"""With which systems send."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """The probes of one arm with one TTL."""

    ttl: int
    """As seen on the uplink."""
    sent: int
    answered: int
    """With a SYN-ACK."""
    reset: int
    time_exceeded: int
    """By routers on the way."""
    unreachable: int


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells one TCP implementation from another: of the options not MP_CAPABLE, which the arm asks for."""

    window: int
    scale: int | None
    mss: int | None
    options: tuple[int, ...]
    timestamps: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """One arm of one target. TTLs are as seen on the uplink."""

    arm: Arm
    sweeps: tuple[Sweep, ...]
    """By TTL, ascending."""
    replies: tuple[Reply, ...]
    """The SYN-ACKs."""
    ttl_offset: int
    """Hops between the prober and the uplink."""
    rtt: float | None
    """Median of the SYN-ACKs, in seconds."""

    @property
    def sent(self) -> int:
        return sum(sweep.sent for sweep in self.sweeps)

    @property
    def answered(self) -> int:
        return len(self.replies)

    @property
    def lowest_ttl(self) -> int | None:
        """The lowest TTL that is answered with a SYN-ACK."""
        return next((sweep.ttl for sweep in self.sweeps if sweep.answered), None)

    @property
    def reply_ttls(self) -> tuple[tuple[int, int], ...]:
        """Of the SYN-ACKs: each TTL and how many had it, the most frequent first."""
        counts = Counter(uplink_ttl(reply.ttl, self.ttl_offset) for reply in self.replies)
        return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def reply_ttl(self) -> int | None:
        """The most frequent one."""
        return self.reply_ttls[0][0] if self.replies else None

    @property
    def ttl_class(self) -> int | None:
        """The initial TTL that the replies must have had."""
        return None if self.reply_ttl is None else initial_ttl(self.reply_ttl)

    @property
    def hops(self) -> int | None:
        """How far away, by the TTL of the replies, what answers is: 5 for the fifth router."""
        return None if self.reply_ttl is None else initial_ttl(self.reply_ttl) - self.reply_ttl + 1

    @property
    def fingerprint(self) -> Fingerprint | None:
        """The most frequent one."""
        prints = Counter(_fingerprint(reply) for reply in self.replies)
        return prints.most_common(1)[0][0] if prints else None

    @property
    def agreed(self) -> int:
        """SYN-ACKs with MP_CAPABLE."""
        return sum(1 for reply in self.replies if reply.mptcp)

    def exceeded_from(self, ttl: int) -> int:
        """How often routers told that a TTL of `ttl` or more was used up."""
        return sum(sweep.time_exceeded for sweep in self.from_ttl(ttl))

    def from_ttl(self, ttl: int) -> tuple[Sweep, ...]:
        """The probes with this TTL or a higher one."""
        return tuple(sweep for sweep in self.sweeps if sweep.ttl >= ttl)


def initial_ttl(ttl: int) -> int:
    """The lowest usual initial TTL from which hops may have left `ttl`."""
    return next(initial for initial in INITIAL_TTLS if ttl <= initial)


def uplink_ttl(received: int, ttl_offset: int) -> int:
    """The TTL on the uplink of what the prober received; what came from nearer never had more than initially."""
    return min(received + ttl_offset, initial_ttl(received))


def profiles(target: Target, ttl_offset: int) -> dict[Arm, Profile]:
    """The arms that were probed, in the order of `Arm`."""
    found = {}
    for arm in Arm:
        probes = [probe for probe in target.probes if probe.arm is arm]
        if probes:
            found[arm] = _profile(arm, probes, ttl_offset)
    return found


def _profile(arm: Arm, probes: list[Probe], ttl_offset: int) -> Profile:
    by_ttl: dict[int, list[Answer]] = {}
    for probe in probes:
        by_ttl.setdefault(probe.ttl - ttl_offset, []).append(probe.answer)
    answered = [probe for probe in probes if probe.answer is Answer.SYN_ACK]
    replies = tuple(probe.reply for probe in answered if probe.reply)
    rtts = [probe.rtt for probe in answered if probe.rtt is not None]
    return Profile(
        arm,
        tuple(_sweep(ttl, answers) for ttl, answers in sorted(by_ttl.items())),
        replies,
        ttl_offset,
        median(rtts) if rtts else None,
    )


def _sweep(ttl: int, answers: list[Answer]) -> Sweep:
    counts = Counter(answers)
    told = (counts[answer] for answer in (Answer.SYN_ACK, Answer.RST, Answer.TIME_EXCEEDED, Answer.UNREACHABLE))
    return Sweep(ttl, len(answers), *told)


def _fingerprint(reply: Reply) -> Fingerprint:
    options = tuple(kind for kind in reply.options if kind not in {END_OF_OPTIONS, NO_OPERATION, MPTCP})
    return Fingerprint(reply.window, reply.scale, reply.mss, options, reply.timestamps)
