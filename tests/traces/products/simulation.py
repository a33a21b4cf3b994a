"""Traces without captures: a few packets by hand, and transfers over several subflows by a small simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from traces.mptcp.model import (
    NEVER,
    Connection,
    DataAcks,
    Direction,
    Event,
    EventKind,
    MapKind,
    Mappings,
    Proof,
    RttSamples,
    Subflow,
    TcpConnection,
    Trace,
    Volume,
)

START = 1_700_000_000
"""Seconds since 1970."""
MILLISECOND = 1_000_000
C2S, S2C = Direction.C2S, Direction.S2C
Map = tuple[float, int, Direction, int, int, MapKind]
"""Milliseconds since the start, subflow, direction, start, length, kind."""
Ack = tuple[float, int, Direction, int, int]
"""Milliseconds since the start, subflow, direction, position, window."""
Sample = tuple[float, int, Direction, float]
"""Milliseconds since the start, subflow, direction, seconds."""


def at(milliseconds: float) -> int:
    """Nanoseconds since 1970."""
    return START * 1_000_000_000 + round(milliseconds * MILLISECOND)


def subflow(number: int, **fields: object) -> Subflow:
    """A subflow over an uplink of its own."""
    told: dict[str, object] = {
        "id": number, "src": f"192.168.{number}.2", "sport": 40000 + number, "dst": "203.0.113.10", "dport": 80,
        "opener": C2S, "interfaces": (f"wlan{number}",), "is_initial": number == 0, "backup": False,
        "local_id": number, "remote_id": 0, "started": float(START), "handshake_seconds": 0.02, "hmac": Proof.RIGHT,
        "mapped": Volume(), "unique": Volume(), "retransmitted": Volume(), "reinjected": Volume(),
        "reinjected_same": Volume(), "rtt_median": (0.02, None),
    }  # fmt: skip
    return Subflow(**(told | fields))  # type: ignore[arg-type]


def connection(
    maps: Sequence[Map] = (),
    acks: Sequence[Ack] = (),
    samples: Sequence[Sample] = (),
    *,
    acked: Sequence[float | None] = (),
    subflows: Sequence[Subflow] = (subflow(0), subflow(1)),
    events: Sequence[Event] = (),
    **fields: object,
) -> Connection:
    """A connection in which exactly that happened; `acked` is when TCP acknowledged each of the maps, which are all."""
    octets = [max((ack[3] for ack in acks if ack[2] is way), default=0) for way in Direction]
    told: dict[str, object] = {
        "id": 0, "version": 1, "client_key": "", "server_key": "", "client_token": "0a0b0c0d",
        "server_token": "01020304", "tokens": Proof.RIGHT, "initial_dsn": (1, 1), "bytes": Volume(*octets),
        "reinjected": Volume(), "duration": 1.0, "checksums": False, "checksums_right": 0, "checksums_wrong": 0,
        "fallback": "", "started": float(START), "subflows": tuple(subflows), "events": tuple(events),
        "mappings": mappings(maps, acked), "acks": data_acks(acks), "rtts": rtt_samples(samples),
    }  # fmt: skip
    return Connection(**(told | fields))  # type: ignore[arg-type]


def mappings(maps: Sequence[Map], acked: Sequence[float | None] = ()) -> Mappings:
    answered = [NEVER if one is None else at(one) for one in acked or [None] * len(maps)]
    time, flow, way, start, length, kind = _columns(maps, 6)
    return Mappings(
        _times(time), np.array(flow, np.uint16), np.array(way, np.uint8), np.array(start, np.int64),
        np.array(length, np.int64), np.array(kind, np.uint8), np.array(answered, np.int64),
    )  # fmt: skip


def data_acks(acks: Sequence[Ack]) -> DataAcks:
    time, flow, way, position, window = _columns(acks, 5)
    return DataAcks(
        _times(time), np.array(flow, np.uint16), np.array(way, np.uint8), np.array(position, np.int64),
        np.array(window, np.int64),
    )  # fmt: skip


def rtt_samples(samples: Sequence[Sample]) -> RttSamples:
    time, flow, way, seconds = _columns(samples, 4)
    return RttSamples(_times(time), np.array(flow, np.uint16), np.array(way, np.uint8), np.array(seconds, np.float64))


def _times(milliseconds: Sequence[float]) -> np.ndarray:
    return np.array([at(one) for one in milliseconds], dtype=np.int64)


def _columns(rows: Sequence[tuple[float, ...]], width: int) -> list[list[float]]:
    return [[row[column] for row in rows] for column in range(width)]


def event(milliseconds: float, kind: EventKind, number: int = 0, way: Direction = S2C, detail: str = "") -> Event:
    return Event(START + milliseconds / 1e3, kind, number, way, detail)


def trace(*connections: Connection, tcp: Sequence[TcpConnection] = (), warnings: Sequence[str] = ()) -> Trace:
    return Trace(connections, tuple(tcp), tuple(warnings))


def transfer(segments: int, *, number: int = 0, seed: int = 1, flows: int = 2, size: int = 1400) -> Connection:
    """A download over several subflows with other round trip times: some segments are sent again, some reinjected."""
    chance = np.random.default_rng(seed)
    flow = chance.integers(0, flows, segments)
    sent = np.cumsum(chance.exponential(0.1, segments))
    way_back = (10 + 25 * flow) * (1 + 0.2 * chance.random(segments))
    kind = chance.choice([MapKind.NEW, MapKind.RETRANSMITTED, MapKind.REINJECTED], segments, p=[0.98, 0.01, 0.01])
    kind[0] = MapKind.NEW
    start = np.maximum(np.cumsum(kind == MapKind.NEW) - 1, 0) * size
    arrival = np.sort(sent + way_back)
    acked = np.minimum.accumulate(_behind(sent, way_back, start, size, arrival)[::-1])[::-1]
    times = np.array([at(0)], np.int64) + (sent * MILLISECOND).astype(np.int64)
    delay = (way_back * MILLISECOND).astype(np.int64)
    back = np.array([at(0)], np.int64) + (arrival * MILLISECOND).astype(np.int64)
    way = np.full(segments, S2C, np.uint8)
    maps = Mappings(
        times, flow.astype(np.uint16), way, start, np.full(segments, size), kind.astype(np.uint8), times + delay
    )
    acks = DataAcks(back, flow.astype(np.uint16), way, acked, np.full(segments, 400 * size))
    rtts = RttSamples(back, flow.astype(np.uint16), way, way_back / 1e3)
    subflows = tuple(subflow(one) for one in range(flows))
    told = (
        event(1, EventKind.ADD_ADDR, detail="id 2, 203.0.113.11:80, HMAC right"),
        event(30, EventKind.SUBFLOW_OPENED, 1, C2S),
        event(float(arrival[-1]), EventKind.DATA_FIN),
    )
    duration, octets = float(arrival[-1]) / 1e3, Volume(0, int(acked[-1]))
    empty = connection(subflows=subflows, events=told, id=number, duration=duration, bytes=octets)
    return replace(empty, mappings=maps, acks=acks, rtts=rtts)


def _behind(sent: np.ndarray, way_back: np.ndarray, start: np.ndarray, size: int, arrival: np.ndarray) -> np.ndarray:
    """At each arrival the position behind which everything is there."""
    order = np.argsort(sent + way_back)
    missing_from = np.minimum.accumulate(start[order][::-1])[::-1]
    return np.append(missing_from[1:], start.max() + size)
