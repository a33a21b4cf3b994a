"""`invoke bench-proxy`: the proxy against the C ones, on this machine, each in a network namespace of its own."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.cache import make_folder
from lab.context import Lab
from lab.errors import BadInputError
from lab.progress import Stage
from lab.runner import Runner
from tests.proxy.bench.contenders import CONTENDERS, Contender, Place
from tests.proxy.bench.load import Load, Mode, build_load
from tests.proxy.bench.packages import other_proxies
from tests.proxy.bench.rounds import Bench, Round, Station
from tests.proxy.bench.summary import Summary

PROCESSORS = 2
TARGET_PORT = 2000
ROUNDS, SECONDS, IDLE = 5, 3.0, 1000
QUICK_ROUNDS, QUICK_SECONDS, QUICK_IDLE = 3, 1.0, 300
WARM_UP_SECONDS = 0.5
SYSCTLS = (
    # Enough for a measurement, though every connection that has ended keeps its port for a while, as it does elsewhere.
    "net.ipv4.ip_local_port_range=10000 65535",
    # Every kernel has Reno and lets any namespace choose it. BBR, a host's possible default, would pace loopback.
    "net.ipv4.tcp_congestion_control=reno",
)


def run_bench_proxy(
    lab: Lab, *, rounds: int = 0, seconds: float = 0.0, quick: bool = False, folder: Path | None = None
) -> Summary:
    """Measure, and leave proxy.json and proxy.svg in `folder` (by default below the lab's state).

    0 takes the default for `rounds` and `seconds`; `quick` has smaller defaults, too small to judge by.
    """
    if rounds < 0 or seconds < 0:
        raise BadInputError("rounds and seconds must be more than 0")
    rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    seconds = seconds or (QUICK_SECONDS if quick else SECONDS)
    idle = QUICK_IDLE if quick else IDLE
    load_average = os.getloadavg()[0]
    with bench(lab) as (place, stage):
        found = [] if lab.host.dry else _rounds(place, stage, rounds, seconds, idle)
    summary = Summary(CONTENDERS, tuple(found), seconds, load_average)
    if found:
        _keep(summary, folder or lab.state / "bench-proxy")
    return summary


@contextmanager
def bench(lab: Lab) -> Iterator[tuple[Bench, Stage]]:
    """A place to measure in: the load compiled, for each contender a namespace with a target in it, two processors.

    A namespace for each, so that none is slower for the ports that the connections of others keep.
    """
    program = build_load(lab.cache, lab.host)
    others = other_proxies(lab)
    with (
        lab.progress.stage("measuring proxies") as stage,
        tempfile.TemporaryDirectory() as folder,
        _on_processors(PROCESSORS),
        ExitStack() as held,
    ):
        stations = []
        for contender in CONTENDERS:
            inside = held.enter_context(_namespace(lab.host, contender))
            load = Load(program, inside.prefix, TARGET_PORT)
            if not lab.host.dry:
                held.enter_context(load.target())
            stations.append(Station(contender, Place(inside.prefix, Path(folder), others), load))
        yield Bench(stations), stage


def _rounds(place: Bench, stage: Stage, rounds: int, seconds: float, idle: int) -> list[Round]:
    """The rounds, after one that is thrown away: it fills caches. Each begins with another contender."""
    found: list[Round] = []
    steps = (rounds + 1) * sum(len(Mode) + (contender.argv is not None) for contender in CONTENDERS)
    done = 0

    def tell(what: str) -> None:
        nonlocal done
        done += 1
        stage.tell(what, done, steps)

    for number in range(rounds + 1):
        first = number % len(place.stations)
        in_turn = Bench((*place.stations[first:], *place.stations[:first]))
        values = in_turn.round(min(WARM_UP_SECONDS, seconds) if number == 0 else seconds, idle, tell)
        if number:
            found.append(values)
    return found


def _keep(summary: Summary, folder: Path) -> None:
    make_folder(folder)
    (folder / "proxy.json").write_text(json.dumps(summary.as_json(), indent=2) + "\n")
    (folder / "proxy.svg").write_text(summary.chart())


@contextmanager
def _namespace(host: Runner, contender: Contender) -> Iterator[Runner]:
    """A network namespace with nothing but loopback: no packet filter and no other traffic matter."""
    name = f"bench{os.getpid()}-{contender.key}"
    host.change("ip", "netns", "add", name)
    inside = host.inside("ip", "netns", "exec", name)
    try:
        inside.change("ip", "link", "set", "lo", "up")
        inside.change("sysctl", "-q", "-w", *SYSCTLS)
        yield inside
    finally:
        host.change("ip", "netns", "del", name)


@contextmanager
def _on_processors(count: int) -> Iterator[None]:
    """Keep what starts from here to so many processors: the bars are for two."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
