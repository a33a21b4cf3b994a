"""From a measurement to verdicts. Pure.

It accuses only where chance, a lossy or slow link, and the target itself are ruled out: arms differ significantly
though their probes were shuffled, and in the way that a box of that kind makes them differ. A target that does not
speak MPTCP, and the near control, show what would be so without any box.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from traces.neutrality.comparison import Comparisons, compare
from traces.neutrality.criteria import MARGIN
from traces.neutrality.model import Answer, Arm, Measurement, TableRow, Target
from traces.neutrality.option import judge_option
from traces.neutrality.pace import judge_speed
from traces.neutrality.profile import Profile, profiles
from traces.neutrality.reach import doubts, drops, interceptions
from traces.neutrality.speed import Speed, measure_speed
from traces.neutrality.verdict import Kind, Verdict, inconclusive


@dataclass(frozen=True, slots=True)
class JudgedTarget:
    """A target with what was seen of it and what is concluded."""

    name: str
    verdicts: tuple[Verdict, ...]
    arms: dict[Arm, Profile]
    speed: Speed | None
    table: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """All targets of one uplink."""

    uplink: str
    targets: tuple[JudgedTarget, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A target, digested."""

    target: Target
    arms: dict[Arm, Profile]
    compared: Comparisons
    speed: Speed | None


def judge(measurement: Measurement) -> Judgement:
    """The verdicts on every target, in the order of the measurement."""
    # The near control is before the uplink: nothing of its TTLs was lost on the way there.
    seen = [_see(target, 0 if target.is_near else measurement.ttl_offset) for target in measurement.targets]
    near = next((one for one in seen if one.target.is_near), None)
    near_verdicts = _verdicts(near, None, 0) if near else []
    judged = []
    for one in seen:
        if one is near:
            verdicts = near_verdicts
        else:
            verdicts = [_unless_shared(v, near_verdicts) for v in _verdicts(one, near, measurement.ttl_offset)]
        judged.append(JudgedTarget(one.target.name, tuple(verdicts), one.arms, one.speed, one.target.table))
    return Judgement(measurement.uplink, tuple(judged))


def _see(target: Target, ttl_offset: int) -> _Seen:
    arms = profiles(target, ttl_offset)
    return _Seen(target, arms, compare(arms), measure_speed(target.pairs))


def _verdicts(seen: _Seen, near: _Seen | None, ttl_offset: int) -> list[Verdict]:
    silent = _silence(seen)
    if silent:
        return [silent]
    nearer = interceptions(seen.arms, seen.compared)
    dropped = drops(seen.arms, seen.compared, nearer)
    reference = near.arms.get(Arm.V1) if near and near.target.speaks_mptcp else None
    option = None
    if Arm.V1 in seen.arms and Arm.V1 not in nearer.keys() | dropped.keys():
        option = judge_option(seen.target, seen.arms[Arm.V1], ttl_offset, reference)
    speed = judge_speed(seen.target, seen.speed, near.speed if near else None)
    found = [*_told(nearer), *dropped.values(), *(v for v in (option, speed) if v)]
    accusations = [verdict for verdict in found if verdict.kind.accuses]
    if accusations:
        # The SYNs explain why a transfer was not with MPTCP.
        return accusations
    found += doubts(seen.arms, seen.compared, nearer.keys() | dropped.keys())
    return found or [_transparent(seen)]


def _told(nearer: dict[Arm, Verdict]) -> list[Verdict]:
    """The unknown option is there to compare with: where plain SYNs meet the same, it is no case of its own."""
    if Arm.PLAIN in nearer and Arm.DUMMY in nearer:
        plain = nearer[Arm.PLAIN]
        told = replace(plain, evidence=f"{plain.evidence}; so are SYNs with an unknown option")
        return [told, *(verdict for arm, verdict in nearer.items() if arm not in {Arm.PLAIN, Arm.DUMMY})]
    return list(nearer.values())


def _silence(seen: _Seen) -> Verdict | None:
    """Why there is nothing to judge; None when there is."""
    if not seen.arms:
        return inconclusive("no SYN was sent to the target", "")
    if any(arm.answered for arm in seen.arms.values()):
        return None
    sent = len(seen.target.probes)
    resets = sum(probe.answer is Answer.RST for probe in seen.target.probes)
    if resets:
        return inconclusive(
            "the target refuses every SYN: is the port open?", f"{resets} of {sent} are answered with RST"
        )
    evidence = f"none of {sent} SYNs is answered by it, with any option or none"
    return inconclusive("the target does not answer: is it up, and do the TTLs suffice?", evidence)


def _unless_shared(verdict: Verdict, near: list[Verdict]) -> Verdict:
    """What happens to the near control as well is not the uplink's doing."""
    if not verdict.kind.accuses or not any((v.kind, v.arm) == (verdict.kind, verdict.arm) for v in near):
        return verdict
    if verdict.kind is Kind.RATE_DIFFERENTIATED:
        return verdict
    reason = f"the near control is {verdict.kind} too: look for a firewall on this host"
    return inconclusive(reason, verdict.evidence, verdict.p_value)


def _transparent(seen: _Seen) -> Verdict:
    ways = [f"{arm.arm} from TTL {arm.lowest_ttl} on with TTL {arm.reply_ttl}" for arm in seen.arms.values()]
    evidence = f"consistent with a network that treats all SYNs alike: answered are {', '.join(ways)}"
    option = seen.arms.get(Arm.V1)
    if option and option.agreed:
        evidence += f"; MP_CAPABLE comes back in {option.agreed} of {option.answered} SYN-ACKs"
    else:
        evidence += "; the target does not speak MPTCP, so it does not tell whether MP_CAPABLE arrives"
    if seen.speed is None:
        return Verdict(Kind.TRANSPARENT, f"{evidence}; speed was not compared")
    evidence += f"; {seen.speed.words}, equivalent within a factor of {MARGIN}"
    return Verdict(Kind.TRANSPARENT, evidence, p_value=seen.speed.equivalence_p)
