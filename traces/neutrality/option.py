"""Verdict on MP_CAPABLE itself: does it arrive, and does that of the server come back?"""

from __future__ import annotations

from dataclasses import dataclass

from traces.neutrality.broken import failures, sent_elsewhere
from traces.neutrality.criteria import FEWEST_REPLIES
from traces.neutrality.model import Arm, Quote, Target
from traces.neutrality.prober.packets import COMMON, END_OF_OPTIONS, NO_OPERATION, option_list
from traces.neutrality.profile import Profile
from traces.neutrality.statistics import Stratum, fisher
from traces.neutrality.verdict import Kind, Verdict, inconclusive

FEWEST_QUOTES = 2
"""Altered ones, where nothing else speaks for it: chance may have altered one."""
OPTION = {Arm.V1: "option 30", Arm.DUMMY: "option 253"}
"""What quotes call the option that the arm carries: MP_CAPABLE, and one for experiments (RFC 4727)."""
EVERY_OPTION = {f"option {kind}" for kind, _ in option_list(COMMON) if kind not in {END_OF_OPTIONS, NO_OPERATION}}
"""Those that every SYN has."""


@dataclass(frozen=True, slots=True)
class _Quoted:
    """What ICMP quotes show of an arm's option."""

    whole: int | None
    """The highest TTL whose quote shows it as it was sent."""
    hop: int | None
    """The lowest TTL from which on every quote shows it altered."""
    altered: int
    """How many do."""


def judge_option(target: Target, arm: Profile, ttl_offset: int, reference: Profile | None) -> Verdict | None:
    """`option-stripped`, or why it cannot be told; None when nothing speaks for it.

    `arm` is that of version 1, `reference` the same of the near control, where that is known to speak MPTCP.
    """
    if arm.agreed == arm.answered > 0:
        return None
    quotes = _quoted(target, Arm.V1, ttl_offset)
    if target.speaks_mptcp and arm.agreed == 0 and arm.answered >= FEWEST_REPLIES:
        if quotes.hop is None and (answered_by := _someone_else(target, arm)):
            return answered_by
        p_value = fisher([Stratum(0, arm.answered, reference.agreed, reference.answered)]) if reference else None
        evidence = (
            f"consistent with a box that strips MP_CAPABLE: {arm.answered} SYN-ACKs of a server that speaks MPTCP "
            f"come without it{_against(reference)}{_shown(quotes, arm)}{_dummy(target, ttl_offset, quotes.hop)}"
            f"{_broken(target)}"
        )
        return Verdict(Kind.OPTION_STRIPPED, evidence, arm=Arm.V1, hop=quotes.hop, p_value=p_value)
    if arm.agreed == 0 and quotes.altered >= FEWEST_QUOTES:
        dummy = _dummy(target, ttl_offset, quotes.hop)
        evidence = f"consistent with a box that alters MP_CAPABLE{_shown(quotes, arm)}{dummy}"
        return Verdict(Kind.OPTION_STRIPPED, evidence, arm=Arm.V1, hop=quotes.hop)
    return _untold(target, arm)


def _someone_else(target: Target, arm: Profile) -> Verdict | None:
    """Why what answers may not be the server as it usually is; None when nothing speaks for that."""
    found = arm.fingerprint
    if found and found.scale is None and not found.timestamps:
        reason = "the SYN-ACKs have no options, as with SYN cookies: try again when the server is less busy"
        return inconclusive(reason, f"{arm.answered} come without MP_CAPABLE, window scale and timestamps")
    if sent_elsewhere(target):
        return inconclusive("every download is sent elsewhere: does a captive portal answer?", failures(target))
    return None


def _untold(target: Target, arm: Profile) -> Verdict | None:
    evidence = f"MP_CAPABLE is in {arm.agreed} of {arm.answered} SYN-ACKs"
    if arm.agreed:
        reason = "only some SYN-ACKs have MP_CAPABLE: are there several paths, or several servers behind the name?"
        return inconclusive(reason, evidence)
    if target.speaks_mptcp is None and arm.answered:
        reason = "the target does not agree to MPTCP: name one that is known to speak it"
        return inconclusive(reason, evidence)
    return None


def _quoted(target: Target, arm: Arm, ttl_offset: int) -> _Quoted:
    quotes = sorted(
        (probe.ttl - ttl_offset, OPTION[arm] in probe.quote.changed)
        for probe in target.probes
        if probe.arm is arm and probe.quote and probe.quote.has_options and not _is_garbled(probe.quote)
    )
    whole = max((ttl for ttl, altered in quotes if not altered), default=None)
    beyond = [ttl for ttl, altered in quotes if altered and (whole is None or ttl > whole)]
    return _Quoted(whole, min(beyond, default=None), len(beyond))


def _is_garbled(quote: Quote) -> bool:
    """Whether no option is quoted as it was sent: then it is the router that quotes badly."""
    return set(quote.changed) >= EVERY_OPTION


def _against(reference: Profile | None) -> str:
    return f", those of the near control have it in {reference.agreed} of {reference.answered}" if reference else ""


def _shown(quotes: _Quoted, arm: Profile) -> str:
    if quotes.hop is not None:
        return f"; ICMP quotes show it altered from TTL {quotes.hop} on ({quotes.altered} quotes)"
    whole = f"; ICMP quotes show it whole up to TTL {quotes.whole}" if quotes.whole is not None else ""
    # Without quotes of routers behind it, a box that strips is not told from one that answers every SYN itself.
    return (
        f"{whole}; so would those of a box that answers every SYN at TTL {arm.lowest_ttl} in the server's place, "
        "or of a server that has ceased to speak MPTCP"
    )


def _broken(target: Target) -> str:
    found = failures(target)
    return f"; downloads end early: {found}" if found else ""


def _dummy(target: Target, ttl_offset: int, hop: int | None) -> str:
    if hop is None:
        return ""
    return (
        "; an unknown option is altered too"
        if _quoted(target, Arm.DUMMY, ttl_offset).altered
        else "; an unknown option is left as it is"
    )
