"""Verdicts from which SYNs are answered: arms that something on the way answers for, and arms that are dropped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from traces.neutrality.comparison import Comparison, Comparisons, far_ttl
from traces.neutrality.criteria import DROPPED_SHARE, FEWEST_FAR_PROBES, FEWEST_REPLIES, SIGNIFICANCE, TELLING_GAP
from traces.neutrality.model import Arm
from traces.neutrality.profile import Profile
from traces.neutrality.verdict import Kind, Verdict, inconclusive

Arms = Mapping[Arm, Profile]

CARRIED = {
    Arm.PLAIN: "plain SYNs",
    Arm.V1: "SYNs with MP_CAPABLE version 1",
    Arm.V0: "SYNs with MP_CAPABLE version 0",
    Arm.DUMMY: "SYNs with an unknown option",
}


def interceptions(arms: Arms, compared: Comparisons) -> dict[Arm, Verdict]:
    """The arms that are answered by something nearer than another arm is."""
    found: dict[Arm, Verdict] = {}
    for near in arms.values():
        for far in arms.values():
            comparison = compared.get(frozenset((near.arm, far.arm)))
            if comparison and _is_nearer(near, far, comparison):
                p_value = min(comparison.reach, comparison.reply_ttl)
                found.setdefault(near.arm, _intercepted(near, far, p_value))
    return found


def drops(arms: Arms, compared: Comparisons, intercepted: Collection[Arm]) -> dict[Arm, Verdict]:
    """The arms that go unanswered where a reference (plain, or the unknown option) is answered by the target."""
    far = far_ttl(arms.values())
    if far is None:
        return {}
    references = [arms[name] for name in (Arm.PLAIN, Arm.DUMMY) if name in arms and name not in intercepted]
    found: dict[Arm, Verdict] = {}
    for arm in (arms[name] for name in (Arm.V1, Arm.V0, Arm.DUMMY) if name in arms and name not in intercepted):
        for reference in (one for one in references if one is not arm):
            p_value = compared[frozenset((arm.arm, reference.arm))].far_reach
            if p_value < SIGNIFICANCE and _share(arm, far) < DROPPED_SHARE * _share(reference, far):
                found.setdefault(arm.arm, _dropped(arm, reference, far, p_value))
    return found


def doubts(arms: Arms, compared: Comparisons, explained: Iterable[Arm]) -> list[Verdict]:
    """What keeps one from saying that the arms are treated alike, but for those that are `explained`."""
    rest = {name: arm for name, arm in arms.items() if name not in explained}
    return [*_differences(rest, compared), *_too_few(rest)]


def _is_nearer(near: Profile, far: Profile, comparison: Comparison) -> bool:
    if near.answered < FEWEST_REPLIES or near.lowest_ttl is None:
        return False
    if far.lowest_ttl is None:
        # It goes on to routers well behind, though the target does not answer it.
        beyond = far.exceeded_from(near.lowest_ttl + TELLING_GAP)
        return comparison.reach < SIGNIFICANCE and beyond >= FEWEST_REPLIES
    if far.answered < FEWEST_REPLIES:
        return False
    gap = far.lowest_ttl - near.lowest_ttl
    if gap < 1:
        return False
    # When every probe with the lowest TTL that suffices got lost, an arm seems a hop farther away than it is.
    by_reach = comparison.reach < SIGNIFICANCE and (gap >= TELLING_GAP or near.reply_ttl != far.reply_ttl)
    return by_reach or comparison.reply_ttl < SIGNIFICANCE


def _intercepted(near: Profile, far: Profile, p_value: float) -> Verdict:
    evidence = (
        f"consistent with a box at TTL {near.lowest_ttl} that answers {CARRIED[near.arm]} in the target's place: "
        f"{_answered_from(near)}, {CARRIED[far.arm]} {_answered_from(far)}"
    )
    if near.fingerprint != far.fingerprint:
        evidence += "; the TCP of the replies differs too"
    if near.rtt is not None and far.rtt is not None:
        evidence += f"; answers take {near.rtt * 1e3:.2g} and {far.rtt * 1e3:.2g} ms"
    return Verdict(Kind.INTERCEPTED, evidence, arm=near.arm, hop=near.lowest_ttl, p_value=p_value)


def _answered_from(arm: Profile) -> str:
    if arm.lowest_ttl is None:
        beyond = max((sweep.ttl for sweep in arm.sweeps if sweep.time_exceeded), default=None)
        return f"not answered, but told of by routers up to TTL {beyond}" if beyond else "not answered"
    return (
        f"answered from TTL {arm.lowest_ttl} on with TTL {arm.reply_ttl} "
        f"({arm.ttl_class} when sent, so {arm.hops} hops away)"
    )


def _dropped(arm: Profile, reference: Profile, far: int, p_value: float) -> Verdict:
    evidence = (
        f"consistent with a box that drops {CARRIED[arm.arm]}: from TTL {far} on {_counts(arm, far)} are answered "
        f"with a SYN-ACK, of {CARRIED[reference.arm]} {_counts(reference, far)}"
    )
    for count, answer in (
        (sum(sweep.reset for sweep in arm.sweeps), "with RST"),
        (sum(sweep.unreachable for sweep in arm.sweeps), "with ICMP, as unreachable"),
    ):
        if count:
            evidence += f"; {count} are answered {answer}"
    heard = [sweep.ttl for sweep in arm.sweeps if sweep.time_exceeded]
    if heard:
        evidence += f"; routers tell of them up to TTL {max(heard)}"
        if max(heard) >= far - 1:
            evidence += ", the last before the target: its own firewall may be the box"
    return Verdict(Kind.OPTION_SYN_DROPPED, evidence, arm=arm.arm, p_value=p_value)


def _differences(arms: Arms, compared: Comparisons) -> list[Verdict]:
    for pair, comparison in compared.items():
        if pair <= arms.keys() and comparison.differs:
            one, other = sorted(pair, key=list(Arm).index)
            p_value = min(comparison.reach, comparison.far_reach, comparison.reply_ttl)
            ways = [
                f"{arm.answered} of {arm.sent} {CARRIED[arm.arm]} are {_answered_from(arm)}"
                for arm in (arms[one], arms[other])
            ]
            reason = f"{one} and {other} are answered differently, but as by no box that is known: look at a capture"
            return [inconclusive(reason, "; ".join(ways), p_value)]
    return []


def _too_few(arms: Arms) -> list[Verdict]:
    far = far_ttl(arms.values())
    for arm in arms.values():
        sent = sum(sweep.sent for sweep in arm.from_ttl(far or 0))
        if arm.answered < FEWEST_REPLIES or sent < FEWEST_FAR_PROBES:
            evidence = f"{arm.answered} of {arm.sent} {CARRIED[arm.arm]} are answered"
            return [
                inconclusive(f"too few answers to {CARRIED[arm.arm]}: probe more often, with higher TTLs", evidence)
            ]
    return []


def _share(arm: Profile, ttl: int) -> float:
    """Of the SYNs with at least this TTL, those that are answered."""
    sweeps = arm.from_ttl(ttl)
    sent = sum(sweep.sent for sweep in sweeps)
    return sum(sweep.answered for sweep in sweeps) / sent if sent else 0.0


def _counts(arm: Profile, ttl: int) -> str:
    sweeps = arm.from_ttl(ttl)
    return f"{sum(sweep.answered for sweep in sweeps)} of {sum(sweep.sent for sweep in sweeps)}"
