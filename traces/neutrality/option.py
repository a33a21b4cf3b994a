"""Verdict on MP_CAPABLE itself: does it arrive, and does that of the server come back?"""

from __future__ import annotations

from traces.neutrality.criteria import FEWEST_REPLIES
from traces.neutrality.model import Arm, Target
from traces.neutrality.profile import Profile
from traces.neutrality.statistics import Stratum, fisher
from traces.neutrality.verdict import Kind, Verdict, inconclusive

FEWEST_QUOTES = 2
"""Altered ones, where nothing else speaks for it: a single router may quote badly."""
OPTION = {Arm.V1: "option 30", Arm.DUMMY: "option 253"}
"""What quotes call the option that the arm carries: MP_CAPABLE, and one for experiments (RFC 4727)."""


def judge_option(target: Target, arm: Profile, ttl_offset: int, reference: Profile | None) -> Verdict | None:
    """`option-stripped`, or why it cannot be told; None when nothing speaks for it.

    `arm` is that of version 1, `reference` the same of the near control, where that is known to speak MPTCP.
    """
    if arm.agreed == arm.answered > 0:
        return None
    hop, altered = _altered_from(target, Arm.V1, ttl_offset)
    quoted = f"; ICMP quotes show it altered from TTL {hop} on ({altered} quotes)" if hop else ""
    if target.speaks_mptcp and arm.agreed == 0 and arm.answered >= FEWEST_REPLIES:
        p_value = fisher([Stratum(0, arm.answered, reference.agreed, reference.answered)]) if reference else None
        evidence = (
            f"consistent with a box that strips MP_CAPABLE: {arm.answered} SYN-ACKs of a server that speaks MPTCP "
            f"come without it{_against(reference)}{quoted or _unquoted(arm)}{_dummy(target, ttl_offset, hop)}"
        )
        return Verdict(Kind.OPTION_STRIPPED, evidence, arm=Arm.V1, hop=hop, p_value=p_value)
    if arm.agreed == 0 and altered >= FEWEST_QUOTES:
        evidence = f"consistent with a box that alters MP_CAPABLE{quoted}{_dummy(target, ttl_offset, hop)}"
        return Verdict(Kind.OPTION_STRIPPED, evidence, arm=Arm.V1, hop=hop)
    return _untold(target, arm)


def _untold(target: Target, arm: Profile) -> Verdict | None:
    evidence = f"MP_CAPABLE is in {arm.agreed} of {arm.answered} SYN-ACKs"
    if arm.agreed:
        reason = "only some SYN-ACKs have MP_CAPABLE: are there several paths, or several servers behind the name?"
        return inconclusive(reason, evidence)
    if target.speaks_mptcp is None and arm.answered:
        reason = "the target does not agree to MPTCP: name one that is known to speak it"
        return inconclusive(reason, evidence)
    return None


def _altered_from(target: Target, arm: Arm, ttl_offset: int) -> tuple[int | None, int]:
    """The lowest TTL from which on every quote shows the option altered, and how many do."""
    quotes = sorted(
        (probe.ttl - ttl_offset, OPTION[arm] in probe.quote.changed)
        for probe in target.probes
        if probe.arm is arm and probe.quote and probe.quote.has_options
    )
    whole = max((ttl for ttl, altered in quotes if not altered), default=-1)
    beyond = [ttl for ttl, altered in quotes if altered and ttl > whole]
    return min(beyond, default=None), len(beyond)


def _against(reference: Profile | None) -> str:
    return f", those of the near control have it in {reference.agreed} of {reference.answered}" if reference else ""


def _unquoted(arm: Profile) -> str:
    """Without quotes of routers behind it, a box that strips is not told from one that answers every SYN itself."""
    return f"; so would those of a box that answers every SYN at TTL {arm.lowest_ttl} in the server's place"


def _dummy(target: Target, ttl_offset: int, hop: int | None) -> str:
    if hop is None:
        return ""
    _, altered = _altered_from(target, Arm.DUMMY, ttl_offset)
    return "; an unknown option is altered too" if altered else "; an unknown option is left as it is"
