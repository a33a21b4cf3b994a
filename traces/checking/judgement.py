"""What is concluded of one way through the guest, claim by claim, from what was seen of it.

Only what was seen can disprove: a page that says no, a wrong hash, a connection that was plain TCP. What could not be
fetched, and what could not be seen, leaves its claim not proven.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from traces.checking.counters import Counters
from traces.checking.fetch import Fetched, sentence
from traces.checking.subflows import Subflow
from traces.checking.verdict import Finding, Outcome, UplinkShare, shares, widest_connection

SENTENCE = "the server says MPTCP"
# Less may have been through before a subflow over a slow uplink joined.
TELLING_OCTETS = 10_000_000
NAMED_FLOWS = 3


@dataclass(slots=True)
class Observed:
    """What was seen of one way through the guest."""

    way: str
    page: Fetched
    bulk: Fetched | None
    counters: Counters
    most_subflows: int
    subflows: list[Subflow] = field(default_factory=list)
    """The flows to the servers, on every uplink."""


def judge(seen: Observed, uplinks: Sequence[str], bulk_sha256: str) -> Iterator[Finding]:
    """What holds of one way over these uplinks; `bulk_sha256` is empty when the file's digest is not known."""
    yield _said_so(seen)
    yield _agreed(seen)
    yield _kernel_agrees(seen)
    if seen.bulk is None:
        yield Finding(
            seen.way, "every uplink carries a subflow and data", Outcome.NOT_PROVEN,
            "no file to fetch: give one on a server that speaks MPTCP with --bulk-url",
        )  # fmt: skip
        return
    yield _intact(seen.way, seen.bulk, bulk_sha256)
    for share in shares(uplinks, widest_connection(seen.subflows)):
        yield _carries(seen, share)


def not_resolved(way: str, name: str, families: Iterable[int]) -> Finding:
    """What is left to say when nothing could be fetched, since the server's name leads nowhere."""
    kinds = " or ".join(f"IPv{family}" for family in families)
    why = f"neither the lab host nor the guest finds an {kinds} address of {name}"
    return Finding(way, SENTENCE, Outcome.NOT_PROVEN, why)


def _said_so(seen: Observed) -> Finding:
    if seen.page.error:
        return Finding(seen.way, SENTENCE, Outcome.NOT_PROVEN, seen.page.error)
    said, words = sentence(seen.page.text)
    if said is None:
        why = "the page does not say whether it was fetched over MPTCP"
        return Finding(seen.way, SENTENCE, Outcome.NOT_PROVEN, why)
    return Finding(seen.way, SENTENCE, Outcome.PROVEN if said else Outcome.DISPROVED, words)


def _agreed(seen: Observed) -> Finding:
    initial = [flow for flow in seen.subflows if not flow.joins]
    plain = [flow for flow in initial if flow.is_plain]
    agreed = sum(1 for flow in initial if flow.agreed)
    evidence = f"capture: {agreed} of {len(initial)} connections agreed to MPTCP"
    if plain:
        evidence += f"; plain TCP: {_named(plain)}"
    elif not initial:
        evidence = "capture: no connection to the server was seen on any uplink"
    elif agreed < len(initial):
        evidence += "; the others were not answered"
    holds = bool(initial) and agreed == len(initial)
    return Finding(seen.way, "MP_CAPABLE is agreed", _outcome(holds, bool(plain)), evidence)


def _kernel_agrees(seen: Observed) -> Finding:
    counted = seen.counters
    contradicted = any(flow.is_plain for flow in seen.subflows)
    evidence = (
        f"nstat: {counted.agreed} MP_CAPABLE agreed, {counted.joined} MP_JOIN, {counted.fallbacks} fallbacks; "
        f"ss: up to {seen.most_subflows} subflows at once"
    )
    if counted.fallbacks and not contradicted:
        evidence += "; no connection to the servers was plain TCP, so others of the guest may have fallen back"
    holds = counted.agreed > 0 and counted.fallbacks == 0
    return Finding(seen.way, "the guest's kernel counts MPTCP and no fallback", _outcome(holds, contradicted), evidence)


def _intact(way: str, bulk: Fetched, sha256: str) -> Finding:
    claim = "the file arrives whole"
    if bulk.error:
        return Finding(way, claim, Outcome.NOT_PROVEN, bulk.error)
    differs = bool(sha256) and bulk.sha256 != sha256.lower()
    evidence = f"{bulk.size} octets, SHA-256 {bulk.sha256[:16]}…"
    if differs:
        evidence += f" instead of {sha256[:16]}…"
    return Finding(way, claim, _outcome(not differs, differs), evidence)


def _carries(seen: Observed, share: UplinkShare) -> Finding:
    holds = share.subflows > 0 and share.bytes_down > 0
    came = sum(flow.bytes_down for flow in seen.subflows)
    refused = [flow for flow in seen.subflows if flow.uplink == share.name and flow.joins and flow.is_plain]
    evidence = f"capture: {share.subflows} subflows, {share.bytes_down} octets down, {share.bytes_up} up"
    if not holds and refused:
        evidence += f"; MP_JOIN was answered without MPTCP: {_named(refused)}"
    elif not holds and came < TELLING_OCTETS:
        evidence += f"; {came} octets came over all uplinks, and {TELLING_OCTETS} or more would tell"
    left_out = bool(refused) or came >= TELLING_OCTETS
    return Finding(seen.way, f"{share.name} carries a subflow and data", _outcome(holds, left_out), evidence)


def _named(flows: Iterable[Subflow]) -> str:
    names = [f"port {flow.client[1]} to {flow.server[0]} port {flow.server[1]} over {flow.uplink}" for flow in flows]
    return ", ".join(names[:NAMED_FLOWS]) + (" …" if len(names) > NAMED_FLOWS else "")


def _outcome(holds: bool, contradicted: bool) -> Outcome:
    if holds:
        return Outcome.PROVEN
    return Outcome.DISPROVED if contradicted else Outcome.NOT_PROVEN
