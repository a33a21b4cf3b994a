"""Captures of conversations that lack packets, have them twice, out of order or cut: no more is told than was sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.mptcp.conversation import C2S, S2C, SYN, Conversation, Packet
from tests.traces.mptcp.traces import trace_of, trace_of_packets
from tests.traces.reading.files import enhanced, interface, section
from tests.traces.reading.packets import ipv4, tcp
from traces.mptcp.form import as_json, as_lines
from traces.mptcp.model import Connection, EventKind, Trace

WAYS = ("c2s", "s2c")
KINDS = ("unique", "retransmitted", "reinjected", "reinjected_same")
HANDSHAKE = 3
"""Packets that the first subflow's takes."""


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A client and a server that do this and that over one to three subflows, and close."""
    talk = Conversation(
        draw(st.sampled_from([0, 1])), draw(st.sampled_from([4, 6])), checksums=draw(st.booleans()),
        long=draw(st.booleans()), seed=draw(st.integers(0, 1000)),
    )  # fmt: skip
    talk.connect(isns=draw(st.sampled_from([None, (0xFFFFFF00, 0xFFFFFFFE)])))
    for opener in draw(st.lists(st.sampled_from([C2S, S2C]), max_size=2)):
        talk.join(opener=opener, syns=draw(st.integers(1, 2)))
    numbers = st.integers(0, len(talk.ways) - 1)
    for _ in range(draw(st.integers(0, 12))):
        way, direction = talk.ways[draw(numbers)], draw(st.sampled_from([C2S, S2C]))
        match draw(st.sampled_from(["data", "data", "lost", "again", "reinject"])):
            case "data":
                talk.data(way, direction, draw(st.integers(1, 1400)))
            case "lost":
                talk.data(way, direction, draw(st.integers(1, 1400)), arrives=False)
            case "again":
                talk.again(way, direction)
            case _:
                talk.reinject(way, direction, talk.ways[draw(numbers)])
    talk.close()
    return talk


def damaged(draw: st.DrawFn, packets: list[Packet]) -> list[Packet]:
    """Some missing, and some that change their times with a neighbour."""
    lost = draw(st.sets(st.integers(0, len(packets) - 1), max_size=len(packets) // 3))
    kept = [packet for at, packet in enumerate(packets) if at not in lost]
    for at in draw(st.lists(st.integers(1, max(len(kept) - 1, 1)), max_size=4)):
        if at < len(kept):
            one, other = kept[at - 1], kept[at]
            kept[at - 1 : at + 1] = [Packet(one.nanoseconds, other.octets), Packet(other.nanoseconds, one.octets)]
    return kept


@st.composite
def damages(draw: st.DrawFn) -> tuple[Conversation, list[Packet]]:
    talk = draw(conversations())
    return talk, damaged(draw, talk.packets)


def totals(connection: Connection, kind: str) -> list[int]:
    return [sum(getattr(getattr(subflow, kind), way) for subflow in connection.subflows) for way in WAYS]


def no_more_than_was_sent(trace: Trace, talk: Conversation) -> None:
    for connection in trace.connections:
        counted = [connection.bytes.c2s, connection.bytes.s2c]
        for way in (0, 1):
            # Who opened it is not known when the handshake is missing: then directions may be turned.
            most = talk.truth.sent[way] if connection.client_token else max(talk.truth.sent)
            assert counted[way] <= most
            assert totals(connection, "unique")[way] <= most
        assert connection.checksums_wrong == 0
        mapped = totals(connection, "mapped")
        assert [sum(parts) for parts in zip(*(totals(connection, kind) for kind in KINDS), strict=True)] == mapped
    assert json_is_whole(as_json(trace))
    assert list(as_lines(trace))


def json_is_whole(report: dict[str, Any]) -> bool:
    return set(report) == {"connections", "tcp_connections", "warnings"}


@settings(max_examples=15, deadline=None)
@given(conversations())
def test_of_a_whole_capture_everything_is_known(talk: Conversation) -> None:
    trace = trace_of_packets(talk.packets)
    (connection,) = trace.connections
    assert trace.warnings == ()
    assert [connection.bytes.c2s, connection.bytes.s2c] == talk.truth.sent
    assert (connection.client_token, connection.server_token) == talk.tokens
    for kind in KINDS:
        there = getattr(talk.truth, kind)
        for subflow in connection.subflows:
            told = getattr(subflow, kind)
            assert (told.c2s, told.s2c) == (there.get((subflow.id, C2S), 0), there.get((subflow.id, S2C), 0)), kind
    assert connection.checksums_wrong == 0


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(damages())
def test_with_packets_missing_and_out_of_order(damage: tuple[Conversation, list[Packet]]) -> None:
    talk, packets = damage
    trace = trace_of_packets(packets)
    no_more_than_was_sent(trace, talk)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(damages())
def test_what_is_not_known_is_warned_of(damage: tuple[Conversation, list[Packet]]) -> None:
    talk, packets = damage
    trace = trace_of_packets(packets)
    if not all(packet.octets in {one.octets for one in packets} for packet in talk.packets[:2]):
        assert trace.warnings or not packets
    for connection in trace.connections:
        ended = {event.direction for event in connection.events if event.kind is EventKind.DATA_FIN}
        counted = [connection.bytes.c2s, connection.bytes.s2c]
        if connection.client_token and len(ended) == 2 and counted != talk.truth.sent:
            assert trace.warnings


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(damages(), st.data())
def test_packets_that_are_in_it_more_than_once_count_once(
    damage: tuple[Conversation, list[Packet]], data: st.DataObject
) -> None:
    _, packets = damage
    if not packets:
        return
    again = data.draw(st.lists(st.sampled_from(packets), max_size=10))
    twice = sorted(packets + again, key=lambda packet: packet.nanoseconds)
    one, other = trace_of_packets(packets), trace_of_packets(twice)
    assert as_json(one) == as_json(other)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(damages(), st.data())
def test_apart_and_merged_are_the_same(damage: tuple[Conversation, list[Packet]], data: st.DataObject) -> None:
    """Whichever packets were captured where, and some in both places."""
    _, packets = damage
    sides = [data.draw(st.integers(1, 3)) for _ in packets]
    one = [packet for packet, side in zip(packets, sides, strict=True) if side & 1]
    other = [packet for packet, side in zip(packets, sides, strict=True) if side & 2]
    merged = as_json(trace_of_packets(packets))
    assert without_names(as_json(trace_of_packets(one, other))) == without_names(merged)
    assert without_names(as_json(trace_of_packets(other, one))) == without_names(merged)


def without_names(report: dict[str, Any]) -> dict[str, Any]:
    """Interfaces are named after the files."""
    for connection in report["connections"]:
        for subflow in connection["subflows"]:
            subflow.pop("interfaces", None)
    return report


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(conversations(), st.integers(20, 120))
def test_packets_that_are_cut(talk: Conversation, snap_length: int) -> None:
    no_more_than_was_sent(trace_of_packets(talk.packets, snap_length=snap_length), talk)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(conversations(), st.data())
def test_a_capture_that_ends_early(talk: Conversation, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(talk.packets)))
    trace = trace_of_packets(talk.packets[:end])
    no_more_than_was_sent(trace, talk)
    assert len(trace.connections) == (1 if end >= HANDSHAKE - 1 else 0)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(conversations(), st.data())
def test_octets_that_were_changed(talk: Conversation, data: st.DataObject) -> None:
    """Whatever is made of them, it comes to an end."""
    packets = list(talk.packets)
    for _ in range(data.draw(st.integers(1, 6))):
        number = data.draw(st.integers(0, len(packets) - 1))
        octets = bytearray(packets[number].octets)
        octets[data.draw(st.integers(0, min(len(octets), 100) - 1))] ^= data.draw(st.integers(1, 255))
        packets[number] = Packet(packets[number].nanoseconds, bytes(octets))
    assert json_is_whole(as_json(trace_of_packets(packets)))


def test_times_further_apart_than_can_be_counted(tmp_path: Path) -> None:
    """A damaged block may have any time; what is malformed is told with the seconds since the first segment."""
    path, ticks = tmp_path / "a.pcapng", (1 << 63) // 1000
    segments = [tcp(flags=SYN), tcp(options=bytes((30, 4, 0x90, 0)), sequence=2), tcp(sequence=3)]
    blocks = [enhanced(ipv4(one), ticks=at) for one, at in zip(segments, (ticks + 2, 0, ticks - 1), strict=True)]
    path.write_bytes(section() + interface() + b"".join(blocks))
    trace = trace_of(path)
    assert len(trace.tcp_connections) == 1
    assert any("unknown subtype 9" in warning for warning in trace.warnings)


def test_whether_a_subflow_is_for_backup_is_not_known_without_its_syn() -> None:
    talk = Conversation()
    talk.connect()
    way = talk.join(backup=True)
    talk.data(way, C2S, 100)
    without = [one for number, one in enumerate(talk.packets) if number != 3]
    subflows = [one for found in as_json(trace_of_packets(without))["connections"] for one in found["subflows"]]
    (joined,) = [one for one in subflows if one["sport"] == 40001]
    assert joined["backup"] is None
