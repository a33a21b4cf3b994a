"""Verdict on speed: is MPTCP carried faster or slower than plain TCP, by the network rather than by this host?"""

from __future__ import annotations

from traces.neutrality.criteria import FEWEST_PAIRS, MARGIN
from traces.neutrality.model import Target
from traces.neutrality.speed import Speed
from traces.neutrality.verdict import Kind, Verdict, inconclusive


def judge_speed(target: Target, speed: Speed | None, near: Speed | None) -> Verdict | None:
    """`rate-differentiated`, or why nothing can be said; None when the rates are equivalent or were not to be measured.

    `near` is the speed towards the near control: what this host alone does to MPTCP.
    """
    if not target.pairs:
        return None
    if speed is None or speed.refused:
        return _refused(target, speed)
    if not speed.is_enough:
        evidence = f"{speed.words}; {speed.broken} pairs broke off"
        return inconclusive(f"{speed.pairs} whole pairs of transfers, {FEWEST_PAIRS} are needed", evidence)
    if speed.differs:
        return _differentiated(speed, near)
    if not speed.is_equal:
        reason = "the rates vary too much to compare: more pairs, or larger ones, would tell"
        evidence = f"{speed.words}, neither clear of a factor of {MARGIN} nor within it"
        return inconclusive(reason, evidence, speed.equivalence_p)
    return None


def _refused(target: Target, speed: Speed | None) -> Verdict | None:
    if speed is None and not any(mptcp.complete for _, mptcp in target.pairs):
        return inconclusive("no transfer ended whole: is there a file of that size at the target?", "")
    if speed is None and not target.speaks_mptcp:
        return None
    refused = speed.refused if speed else len(target.pairs)
    evidence = f"MPTCP was not agreed in {refused} of {len(target.pairs)} transfers that asked for it"
    return inconclusive("not every transfer was with MPTCP", evidence)


def _differentiated(speed: Speed, near: Speed | None) -> Verdict:
    if near and near.differs and (near.ratio < 1) == (speed.ratio < 1) and not speed.differs_more_than(near):
        reason = "the near control is as much faster or slower with MPTCP: this host limits it, not the network"
        return inconclusive(reason, f"{speed.words}; near control: {near.words}", speed.difference_p)
    slower = "slower" if speed.ratio < 1 else "faster"
    evidence = f"consistent with a network that carries MPTCP {slower} than plain TCP: {speed.words}"
    return Verdict(Kind.RATE_DIFFERENTIATED, evidence, p_value=speed.difference_p)
