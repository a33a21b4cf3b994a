"""What the plots show is what follows, packet by packet, from the fields that tshark prints."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lab.progress import Progress
from tests.traces.conftest import capture
from traces.mptcp.model import Connection, Direction
from traces.products.flight import flight, right_edge, unacknowledged
from traces.products.goodput import Interval, goodput
from traces.products.plot import Plot, Role
from traces.products.series import rtt, sequence
from traces.products.sides import held, side_of
from traces.summary import read_trace

FIELDS = (
    "frame.time_epoch", "ip.src", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.len",
    "tcp.window_size", "tcp.options.mptcp.rawdataseqno", "tcp.options.mptcp.subflowseqno",
    "tcp.options.mptcp.datalvllen", "tcp.options.mptcp.rawdataack", "tcp.options.mptcp.sendkey", "tcp.analysis.ack_rtt",
)  # fmt: skip
PAIRS = {
    "two subflows": ("v1/v1_two_subflows.wlan.pcap", "v1/v1_two_subflows.tether.pcap"),
    "reinjections": ("v1/v1_reinjected.x1.pcap", "v1/v1_reinjected.x2.pcap"),
}
MODULUS = 1 << 32
TENTH = 100_000_000
"""Nanoseconds."""
SYN, ACK = 0x02, 0x10


@dataclass
class Flow:
    """What goes from a client's port to the server, and the answers."""

    first: int
    maps: list[tuple[int, int, int]] = field(default_factory=list)
    sent: dict[int, int] = field(default_factory=dict)
    acked: int = 0


@dataclass
class Told:
    """Of the data that the client sent; times are nanoseconds since 1970."""

    segments: set[tuple[int, int, int, int]] = field(default_factory=set)
    """Time, subflow, and the positions of the first octet and behind the last."""
    acks: list[tuple[int, int, int]] = field(default_factory=list)
    """Time, position, and the right edge."""
    rtts: dict[tuple[int, int], float] = field(default_factory=dict)
    flights: dict[tuple[int, int], int] = field(default_factory=dict)
    """By time and subflow, what TCP has on its way after all packets of that time."""


def packets(paths: list[Path]) -> list[dict[str, str]]:
    found = []
    for path in paths:
        command = ["tshark", "-n", "-r", str(path), "-T", "fields"] + [part for one in FIELDS for part in ("-e", one)]
        lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
        found += [dict(zip(FIELDS, (value.split(",")[0] for value in line.split("\t")), strict=True)) for line in lines]
    return sorted(found, key=lambda packet: int(packet["frame.time_epoch"].replace(".", "")))


@cache
def told(pair: str) -> Told:
    """The oracle: plain loops over packets, and nothing of ours."""
    found, flows, initial = Told(), dict[str, Flow](), 0
    for packet in packets([capture(name) for name in PAIRS[pair]]):
        time, flags = int(packet["frame.time_epoch"].replace(".", "")), int(packet["tcp.flags"], 16)
        if flags & (SYN | ACK) == SYN:
            flows[packet["tcp.srcport"]] = Flow(int(packet["tcp.seq_raw"]))
        port = packet["tcp.srcport"] if packet["tcp.srcport"] in flows else packet["tcp.dstport"]
        flow, number = flows[port], list(flows).index(port)
        if packet["tcp.options.mptcp.sendkey"] and not initial and flags & (SYN | ACK) == ACK:
            key = int(packet["tcp.options.mptcp.sendkey"]).to_bytes(8, "big")
            initial = int.from_bytes(hashlib.sha256(key).digest()[-8:], "big")
        if port == packet["tcp.srcport"]:
            _sent(found, flow, number, time, packet, initial)
        elif flags & ACK:
            _answered(found, flow, number, time, packet, initial)
        for at, one in enumerate(flows.values()):
            found.flights[time, at] = sum(size for start, size in one.sent.items() if start + size > one.acked)
    return found


def _sent(found: Told, flow: Flow, number: int, time: int, packet: dict[str, str], initial: int) -> None:
    start, size = (int(packet["tcp.seq_raw"]) - flow.first) % MODULUS, int(packet["tcp.len"])
    if packet["tcp.options.mptcp.rawdataseqno"] and int(packet["tcp.options.mptcp.subflowseqno"]):
        position = int(packet["tcp.options.mptcp.rawdataseqno"]) - initial - 1
        begin, length = (int(packet[f"tcp.options.mptcp.{one}"]) for one in ("subflowseqno", "datalvllen"))
        flow.maps.append((begin, position, length))
    elif packet["tcp.options.mptcp.datalvllen"] and packet["tcp.options.mptcp.sendkey"]:
        flow.maps.append((1, 0, int(packet["tcp.options.mptcp.datalvllen"])))
    if not size:
        return
    flow.sent.setdefault(start, size)
    end = start + size
    while start < end:
        begin, position, length = next(one for one in reversed(flow.maps) if one[0] <= start < one[0] + one[2])
        reach = min(end, begin + length)
        found.segments.add((time, number, position + start - begin, position + reach - begin))
        start = reach


def _answered(found: Told, flow: Flow, number: int, time: int, packet: dict[str, str], initial: int) -> None:
    flow.acked = max(flow.acked, (int(packet["tcp.ack_raw"]) - flow.first) % MODULUS)
    if packet["tcp.options.mptcp.rawdataack"]:
        position = int(packet["tcp.options.mptcp.rawdataack"]) - initial - 1
        found.acks.append((time, position, position + int(packet["tcp.window_size"])))
    if packet["tcp.analysis.ack_rtt"]:
        found.rtts[time, number] = float(packet["tcp.analysis.ack_rtt"])


@cache
def ours(pair: str) -> Connection:
    (found,) = read_trace([capture(name) for name in PAIRS[pair]], Progress()).connections
    return found


def steps_of(plot: Plot, role: Role, times: list[int]) -> list[float]:
    """The series of that role at those times."""
    (series,) = (one for one in plot.series if one.role is role)
    scaled = (series.y * 1e6).round().astype(np.int64)
    found = held(series.x, scaled, np.array(times, np.int64), before=0)
    return [value / 1e6 for value in found.tolist()]


def highest_by(values: list[tuple[int, int]], times: list[int]) -> list[int]:
    """By each of the times, the highest of values that each come at a time; 0 before the first."""
    return [max((value for then, value in values if then <= time), default=0) for time in times]


def differences(these: list[int], those: list[int]) -> list[int]:
    return [one - other for one, other in zip(these, those, strict=True)]


pytestmark = [pytest.mark.slow, pytest.mark.parametrize("pair", PAIRS)]


def test_the_sequence_plot_has_every_segment_at_its_place(pair: str) -> None:
    drawn: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for series in sequence(side_of(ours(pair), Direction.C2S)).series:
        if series.top is not None and series.subflow is not None:
            for time, start, end in zip(series.x.tolist(), series.y.tolist(), series.top.tolist(), strict=True):
                drawn.setdefault((time, series.subflow), []).append((start, end))
    # A segment that is new in part is drawn in parts.
    joined = {(*key, min(parts)[0], max(end for _, end in parts)) for key, parts in drawn.items()}
    expected: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for time, number, start, end in told(pair).segments:
        expected.setdefault((time, number), []).append((start, end))
    assert joined == {(*key, min(parts)[0], max(end for _, end in parts)) for key, parts in expected.items()}


def test_data_acks_right_edge_flight_and_goodput_follow_from_every_ack(pair: str) -> None:
    connection, oracle = ours(pair), told(pair)
    side = side_of(connection, Direction.C2S)
    # The highest ack is of the DATA_FIN, which is no data.
    acks = [(time, min(position, connection.bytes.c2s)) for time, position, _ in oracle.acks]
    assert list(zip(side.acked.time.tolist(), side.acked.position.tolist(), strict=True)) == acks
    times = sorted({time for time, _ in acks})
    acked, edge = highest_by(acks, times), highest_by([(time, right) for time, _, right in oracle.acks], times)
    sent = highest_by([(time, end) for time, _, _, end in oracle.segments], times)
    edges = right_edge(side)
    assert steps_of(edges, Role.DATA_ACK, times) == acked
    assert steps_of(edges, Role.WINDOW, times) == edge
    flights = flight(side)
    assert steps_of(flights, Role.FLIGHT, times) == [max(gap, 0) for gap in differences(sent, acked)]
    assert steps_of(flights, Role.WINDOW, times) == differences(edge, acked)
    gained = differences(acked, highest_by(acks, [time - TENTH for time in times]))
    moving = steps_of(goodput(side, Interval(TENTH)), Role.MOVING, times)
    assert moving == pytest.approx([octets / 1e5 for octets in gained], abs=2e-6)


def test_what_tcp_has_on_its_way_follows_from_its_numbers(pair: str) -> None:
    side = side_of(ours(pair), Direction.C2S)
    for number in range(2):
        expected = {time: octets for (time, one), octets in told(pair).flights.items() if one == number}
        assert unacknowledged(side, number, np.array(list(expected), np.int64)).tolist() == list(expected.values())


def test_round_trip_times_are_those_of_tshark(pair: str) -> None:
    samples = {
        (time, series.subflow): milliseconds / 1e3
        for series in rtt(side_of(ours(pair), Direction.C2S)).series
        if series.subflow is not None
        for time, milliseconds in zip(series.x.tolist(), series.y.tolist(), strict=True)
    }
    theirs = told(pair).rtts
    assert {key: theirs.get(key) for key in samples} == pytest.approx(samples, abs=2e-9)
    # It has some more, of SYNs and of segments that were sent twice.
    assert len(samples) > 0.9 * len(theirs)
