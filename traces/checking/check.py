"""`check-mptcp`: whether connections through the guest really are MPTCP, over every uplink.

A page's sentence is not trusted. The guest's own tables and a capture on each uplink must say the same, and a file
large enough to use two subflows must have used them. It is done through the SOCKS server and through a route.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from guest.connection import Guest, guest
from lab.context import Lab
from lab.steps import Route
from traces.capturing.capture import capturing
from traces.checking.counters import most_subflows, mptcp_counters
from traces.checking.fetch import Fetched, curl_argv, fetch, require_curl, sentence
from traces.checking.judgement import Observed, judge, not_resolved
from traces.checking.request import Request
from traces.checking.subflows import find_subflows
from traces.checking.verdict import Verdict, shares, widest_connection
from traces.summary import read_trace

SCOPE = "check"
SOCKS, ROUTED = "socks", "routed"
PAGE_SECONDS = 60
BULK_SECONDS = 300
SAMPLE_SECONDS = 0.3


def check(lab: Lab, request: Request) -> Verdict:
    """Fetch the page and the file both ways, and judge."""
    require_curl(lab.host)
    with guest(lab) as inside:
        with lab.progress.stage("resolving names"):
            # By SOCKS it is the guest that resolves, and it may be told other addresses.
            request = request.resolved_from(lab.host).resolved_from(inside.runner)
        if request.unresolved:
            findings = [not_resolved(way, request.unresolved, request.families) for way in (SOCKS, ROUTED)]
            return Verdict(tuple(findings), shares(request.names, []), "")
        seen = [_observe(lab, inside, request, SOCKS, request.socks)]
        with _routed(lab, request):
            seen.append(_observe(lab, inside, request, ROUTED, ""))
    judged = [finding for one in seen for finding in judge(one, request.names, request.bulk_sha256)]
    bulk = [subflow for one in seen for subflow in widest_connection(one.subflows)]
    return Verdict(tuple(judged), shares(request.names, bulk), sentence(seen[0].page.text)[1])


def rehearse(lab: Lab, request: Request) -> None:
    """Print what `check` would do but look: the captures, the fetches and the routes."""
    request = request.resolved_from(lab.host)
    if request.unresolved:
        print(f"# no address of {request.unresolved} is known here, so nothing would be captured, fetched or routed")
        return
    _tell(lab, request, SOCKS, request.socks)
    with _routed(lab, request):
        _tell(lab, request, ROUTED, "")


def _tell(lab: Lab, request: Request, way: str, socks: str) -> None:
    with _capturing(lab, request, way):
        for target, seconds in zip(request.targets, (PAGE_SECONDS, BULK_SECONDS), strict=False):
            lab.host.change(*curl_argv(target, seconds, socks, Path("/dev/null")))


def _observe(lab: Lab, inside: Guest, request: Request, way: str, socks: str) -> Observed:
    with _capturing(lab, request, way) as files:
        before = mptcp_counters(inside.runner)
        with lab.progress.stage(f"fetching the page ({way})"):
            page = fetch(lab.host, request.page, PAGE_SECONDS, socks)
        bulk, most = _fetch_watched(lab, inside, request, way, socks)
        counters = mptcp_counters(inside.runner) - before
    subflows = [
        flow for file in files for flow in find_subflows(file.stem, read_trace([file], lab.progress), request.endpoints)
    ]
    return Observed(way, page, bulk, counters, most, subflows)


def _capturing(lab: Lab, request: Request, way: str) -> AbstractContextManager[list[Path]]:
    return capturing(lab, request.names, lab.state / "check" / way, request.expression, f"{SCOPE}:{way}")


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
    try:
        for address in request.addresses:
            via = ("via", str(request.gateway(address.version)))
            prefix = f"{address}/{address.max_prefixlen}"
            lab.journal.apply(Route(address.version, "main", prefix, via), f"{SCOPE}:route")
        yield
    finally:
        lab.journal.undo(f"{SCOPE}:route")
