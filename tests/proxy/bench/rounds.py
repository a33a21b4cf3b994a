"""One round: every contender is measured in every mode, one after the other, so that all see the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum

from lab.errors import MpsocksError
from tests.proxy.bench.contenders import Contender, Place
from tests.proxy.bench.load import Load, Mode, Outcome
from tests.proxy.bench.processes import cpu_seconds, proportional_kib

CONCURRENT = 64
STREAMS = 4
LASTING = 4
"""Connections are made so many times as long as other things are done: the ports that ended ones keep for a minute slow
some proxies down, but not at first."""
WARM_CONNECTIONS = 64
"""Opened and closed before memory is read for the first time: what a first connection loads is not what one costs."""
SETTLE_SECONDS = 0.3
"""For a server to be done with connections whose clients have gone."""
MIB = 1 << 20
GIB = 1 << 30


class Metric(StrEnum):
    """What is measured; the rows of the table."""

    CONNECTIONS = "connections/s"
    AT_FIRST = "connections/s in the first quarter"
    CONNECTION_P50 = "connection with echo, p50 µs"
    CONNECTION_P99 = "connection with echo, p99 µs"
    FAILED = "connections that failed"
    CONNECTION_CPU = "CPU s per 1000 connections"
    ROUND_TRIPS = "round trips/s"
    ROUND_TRIP_P50 = "round trip, p50 µs"
    ROUND_TRIP_P99 = "round trip, p99 µs"
    ROUND_TRIP_CPU = "CPU s per 100 000 round trips"
    DOWN = "down MiB/s"
    DOWN_CPU = "down, CPU s per GiB"
    UP = "up MiB/s"
    UP_CPU = "up, CPU s per GiB"
    IDLE = "KiB per idle connection"


Values = dict[Metric, float]
Round = dict[str, Values]
"""By contender."""


@dataclass(frozen=True, slots=True)
class Station:
    """A contender, where it runs, and what loads it: each has a network of its own."""

    contender: Contender
    place: Place
    load: Load


@dataclass(frozen=True, slots=True)
class Bench:
    """Where rounds take place."""

    stations: Sequence[Station]

    def round(self, seconds: float, idle: int, tell: Callable[[str], None]) -> Round:
        """Measure everything once; `tell` is called with what is measured next."""
        values: Round = {station.contender.key: {} for station in self.stations}
        for station in self.stations:
            if station.contender.argv is not None:
                tell(f"{station.contender.title}: idle connections")
                values[station.contender.key][Metric.IDLE] = _idle_kib(station, idle)
        with ExitStack() as running:
            pids = [running.enter_context(station.contender.running(station.place)) for station in self.stations]
            for mode in Mode:
                for station, pid in zip(self.stations, pids, strict=True):
                    tell(f"{station.contender.title}: {mode}")
                    values[station.contender.key] |= _measured(station, pid, mode, seconds)
        return values


def _measured(station: Station, pid: int, mode: Mode, seconds: float) -> Values:
    contender = station.contender
    connections = STREAMS if mode in (Mode.DOWN, Mode.UP) else CONCURRENT
    if mode is Mode.CONNECTIONS:
        seconds *= LASTING
    before = cpu_seconds(pid) if pid else 0.0
    outcome = station.load.measure(mode, contender.protocol, contender.port, connections, seconds)
    time.sleep(SETTLE_SECONDS)
    return _values(mode, outcome, cpu_seconds(pid) - before if pid else None)


def _idle_kib(station: Station, connections: int) -> float:
    """In a server of its own: one that has worked fills the holes in its memory first."""
    contender, load = station.contender, station.load
    with contender.running(station.place) as pid:
        with load.idle(contender.protocol, contender.port, WARM_CONNECTIONS):
            pass
        time.sleep(SETTLE_SECONDS)
        before = proportional_kib(pid)
        with load.idle(contender.protocol, contender.port, connections):
            time.sleep(SETTLE_SECONDS)
            return (proportional_kib(pid) - before) / connections


def _values(mode: Mode, outcome: Outcome, cpu: float | None) -> Values:
    """What one measurement says; `cpu` in seconds, None where there is no server."""
    if not outcome.done and not outcome.octets:
        raise MpsocksError(f"nothing got through in {outcome.seconds:.1f} s of {mode}", hint="measure for longer")
    rate, flow = outcome.done / outcome.seconds, outcome.octets / MIB / outcome.seconds
    match mode:
        case Mode.CONNECTIONS:
            failed = float(outcome.failed)
            at_first = outcome.early / (outcome.seconds / 4)
            values = {Metric.CONNECTIONS: rate, Metric.AT_FIRST: at_first, Metric.CONNECTION_P50: outcome.p50_us,
                      Metric.CONNECTION_P99: outcome.p99_us, Metric.FAILED: failed}  # fmt: skip
            cost, amount = Metric.CONNECTION_CPU, outcome.done / 1000
        case Mode.ROUND_TRIPS:
            values = {Metric.ROUND_TRIPS: rate, Metric.ROUND_TRIP_P50: outcome.p50_us,
                      Metric.ROUND_TRIP_P99: outcome.p99_us}  # fmt: skip
            cost, amount = Metric.ROUND_TRIP_CPU, outcome.done / 100_000
        case Mode.DOWN:
            values, cost, amount = {Metric.DOWN: flow}, Metric.DOWN_CPU, outcome.octets / GIB
        case Mode.UP:
            values, cost, amount = {Metric.UP: flow}, Metric.UP_CPU, outcome.octets / GIB
    return values if cpu is None else {**values, cost: cpu / amount}
