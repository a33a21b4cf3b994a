"""Verdict on speed: is MPTCP carried faster or slower than plain TCP, by the network rather than by this host?"""

from __future__ import annotations

from traces.neutrality.broken import failures
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
        evidence = f"{speed.words}; {speed.broken} pairs broke off; {failures(target)}".removesuffix("; ")
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
        reason = "no transfer ended whole: is there a file of that size at the target?"
        if all(plain.complete for plain, _ in target.pairs):
            reason = "plain TCP transfers end whole, and none with MPTCP does: look at a capture"
        return inconclusive(reason, failures(target))
    if speed is None and not target.speaks_mptcp:
        return None
    refused = speed.refused if speed else len(target.pairs)
    evidence = f"MPTCP was not agreed in {refused} of {len(target.pairs)} transfers that asked for it"
    return inconclusive("not every transfer was with MPTCP", evidence)


def _differentiated(speed: Speed, near: Speed | None) -> Verdict:
    side = "slower" if speed.is_slower else "faster"
    compared = f"{speed.words}; near control: {near.words}" if near else speed.words
    if near and near.differs and near.is_slower == speed.is_slower and not speed.differs_more_than(near):
        reason = "the near control is as much faster or slower with MPTCP: this host limits it, not the network"
        return inconclusive(reason, compared, speed.difference_p)
    if near and _is_too_slow(near, speed):
        reason = "the near control is no faster: perhaps this host limits it, not the network"
        return inconclusive(reason, compared, speed.difference_p)
    evidence = f"consistent with a network that carries MPTCP {side} than plain TCP: {compared}"
    return Verdict(Kind.RATE_DIFFERENTIATED, evidence, p_value=speed.difference_p)


def _is_too_slow(near: Speed, speed: Speed) -> bool:
    """Whether this host has not shown that it could carry more of what was slower."""
    return near.mptcp < speed.mptcp if speed.is_slower else near.plain < speed.plain
