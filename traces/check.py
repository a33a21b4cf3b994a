"""`check-mptcp`: whether connections through the guest really are MPTCP, over every uplink.

A page's sentence is not trusted. The guest's own tables and a capture on each uplink must say the same, and a file
large enough to use two subflows must have used them. It is done through the SOCKS server and through a route.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from guest.connection import Guest, guest, guest_address
from guest.start import socks_address
from lab.context import Lab
from lab.errors import MpsocksError
from lab.plan import TapPlan
from lab.standing import standing_uplinks
from lab.steps import Route
from traces.capture import capturing
from traces.counters import Counters, most_subflows, mptcp_counters
from traces.fetch import Fetched, Target, fetch, require_curl, resolve_target, sentence
from traces.pcap import read_segments
from traces.subflows import Subflow, find_subflows
from traces.verdict import Finding, Outcome, Verdict, shares, widest_connection

SCOPE = "check"
PAGE_SECONDS = 60
BULK_SECONDS = 300
SAMPLE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be checked."""

    page: Target
    bulk: Target | None
    bulk_sha256: str
    socks: str
    """Address and port of the SOCKS server."""
    uplinks: tuple[tuple[TapPlan, str], ...]


@dataclass(slots=True)
class Observed:
    """What was seen of one way through the guest."""

    way: str
    page: Fetched
    bulk: Fetched | None
    counters: Counters
    most_subflows: int
    subflows: list[Subflow] = field(default_factory=list)


def check(lab: Lab, request: Request) -> Verdict:
    """Fetch the page and the file both ways, and judge."""
    require_curl(lab.host)
    with guest(lab) as inside:
        ways = [_observe(lab, inside, request, "socks", request.socks)]
        with _routed(lab, request):
            ways.append(_observe(lab, inside, request, "routed", ""))
    findings = [finding for seen in ways for finding in judge(seen, request)]
    bulk = [subflow for seen in ways for subflow in widest_connection(seen.subflows)]
    names = [name for _plan, name in request.uplinks]
    return Verdict(tuple(findings), shares(names, bulk), sentence(ways[0].page.text)[1])


def make_request(lab: Lab, options: dict[str, str]) -> Request:
    """The request that the settings describe, and `options` where given; `MpsocksError` when no uplink stands."""
    uplinks = standing_uplinks(lab)
    if not uplinks:
        raise MpsocksError(
            "no uplink is set up",
            why="there is no guest whose connections could be checked",
            hint="start one: invoke boot-socks --itf wlp1s0,wlan1 --detach",
        )
    settings = replace(lab.settings.check, **{name: value for name, value in options.items() if value})
    bulk = resolve_target(settings.bulk_url, lab.host) if settings.bulk_url else None
    page = resolve_target(settings.page_url, lab.host)
    return Request(page, bulk, settings.bulk_sha256, socks_address(lab), uplinks)


def judge(seen: Observed, request: Request) -> Iterator[Finding]:
    """What was seen of one way, claim by claim."""
    yield _said_so(seen)
    yield _agreed(seen)
    yield _kernel_agrees(seen)
    if seen.bulk is None:
        yield Finding(
            seen.way, "every uplink carries a subflow and data", Outcome.NOT_PROVEN,
            "no file to fetch: give one on a server that speaks MPTCP with --bulk-url",
        )  # fmt: skip
        return
    yield _intact(seen.way, seen.bulk, request.bulk_sha256)
    connection = widest_connection(seen.subflows)
    for share in shares([name for _plan, name in request.uplinks], connection):
        carried = share.subflows > 0 and share.bytes_down > 0
        yield Finding(
            seen.way, f"{share.name} carries a subflow and data", _outcome(carried),
            f"capture: {share.subflows} subflows, {share.bytes_down} octets down, {share.bytes_up} up",
        )  # fmt: skip


def _said_so(seen: Observed) -> Finding:
    said, words = sentence(seen.page.text)
    if seen.page.error or said is None:
        outcome = Outcome.DISPROVED if seen.page.error else Outcome.NOT_PROVEN
        why = seen.page.error or "the page does not say whether it was fetched over MPTCP"
        return Finding(seen.way, "the server says MPTCP", outcome, why)
    return Finding(seen.way, "the server says MPTCP", _outcome(said), words)


def _agreed(seen: Observed) -> Finding:
    initial = [subflow for subflow in seen.subflows if not subflow.joins]
    agreed = [subflow for subflow in initial if subflow.agreed]
    evidence = f"capture: {len(agreed)} of {len(initial)} SYNs with MP_CAPABLE were answered with MP_CAPABLE"
    return Finding(seen.way, "MP_CAPABLE is agreed", _outcome(bool(agreed) and len(agreed) == len(initial)), evidence)


def _kernel_agrees(seen: Observed) -> Finding:
    counted = seen.counters
    holds = counted.agreed > 0 and counted.fallbacks == 0
    evidence = (
        f"nstat: {counted.agreed} MP_CAPABLE agreed, {counted.joined} MP_JOIN, {counted.fallbacks} fallbacks; "
        f"ss: up to {seen.most_subflows} subflows at once"
    )
    return Finding(seen.way, "the guest's kernel counts MPTCP and no fallback", _outcome(holds), evidence)


def _intact(way: str, bulk: Fetched, sha256: str) -> Finding:
    claim = "the file arrives whole"
    if bulk.error:
        return Finding(way, claim, Outcome.DISPROVED, bulk.error)
    evidence = f"{bulk.size} octets, SHA-256 {bulk.sha256[:16]}…"
    return Finding(way, claim, _outcome(not sha256 or bulk.sha256 == sha256), evidence)


def _outcome(holds: bool) -> Outcome:
    return Outcome.PROVEN if holds else Outcome.DISPROVED


def _observe(lab: Lab, inside: Guest, request: Request, way: str, socks: str) -> Observed:
    names = tuple(dict.fromkeys(name for _plan, name in request.uplinks))
    folder = lab.state / "check" / way
    with capturing(lab, names, folder, _filter(request), f"{SCOPE}:{way}") as files:
        before = mptcp_counters(inside.runner)
        with lab.progress.stage(f"fetching the page ({way})"):
            page = fetch(lab.host, request.page, PAGE_SECONDS, socks)
        bulk, most = _fetch_watched(lab, inside, request, way, socks)
        counters = mptcp_counters(inside.runner) - before
    subflows = [flow for file in files for flow in find_subflows(file.stem, read_segments(file))]
    return Observed(way, page, bulk, counters, most, subflows)


def _fetch_watched(lab: Lab, inside: Guest, request: Request, way: str, socks: str) -> tuple[Fetched | None, int]:
    """Fetch the file, and meanwhile look how many subflows the guest has."""
    bulk = request.bulk
    if bulk is None:
        return None, 0
    results: list[Fetched] = []
    with lab.progress.stage(f"fetching the file ({way})") as stage:
        fetching = threading.Thread(target=lambda: results.append(fetch(lab.host, bulk, BULK_SECONDS, socks)))
        fetching.start()
        most = 0
        while fetching.is_alive():
            most = max(most, most_subflows(inside.runner))
            stage.tell(f"{most} subflows seen")
            fetching.join(SAMPLE_SECONDS)
    return (results[0] if results else Fetched(0, "", "", "the fetch failed")), most


@contextmanager
def _routed(lab: Lab, request: Request) -> Iterator[None]:
    """Let this host reach the servers through the guest, for as long as the block runs."""
    targets = [request.page, *([request.bulk] if request.bulk else [])]
    try:
        for address in dict.fromkeys(target.address for target in targets):
            via = ("via", guest_address())
            lab.journal.apply(Route(4, "main", f"{address}/32", via), f"{SCOPE}:route")
        yield
    finally:
        lab.journal.undo(f"{SCOPE}:route")


def _filter(request: Request) -> str:
    """The pcap filter for everything to and from the servers that are asked."""
    targets = [request.page, *([request.bulk] if request.bulk else [])]
    return " or ".join(dict.fromkeys(f"(tcp and host {target.address} and port {target.port})" for target in targets))
