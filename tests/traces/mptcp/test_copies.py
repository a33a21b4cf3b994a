"""Packets that were captured at several places count once, and those that were sent again do not."""

from __future__ import annotations

import struct

import pytest

from tests.traces.mptcp.conversation import C2S, S2C, Conversation, Packet
from tests.traces.mptcp.traces import trace_of_named_packets, trace_of_packets
from traces.mptcp.form import as_json
from traces.mptcp.model import Connection, Trace, Volume

DELAY = 30_000_000
"""Nanoseconds from one end to the other."""


def conversation(family: int = 4) -> Conversation:
    talk = Conversation(family=family)
    first = talk.connect()
    for size in (1000, 501, 999):
        talk.data(first, C2S, size)
        talk.data(first, S2C, size + 1)
    talk.again(first, C2S)
    talk.close()
    return talk


def is_from_client(packet: Packet) -> bool:
    header = 20 if packet.octets[0] >> 4 == 4 else 40
    return packet.octets[header : header + 2] == struct.pack("!H", 40000)


def at(end: int, packets: list[Packet], hops: int = 3) -> list[Packet]:
    """As seen at that end: what comes from the other is later, and has passed routers."""
    field = 8 if packets[0].octets[0] >> 4 == 4 else 7
    seen = []
    for packet in packets:
        octets, came = bytearray(packet.octets), is_from_client(packet) != (end == C2S)
        octets[field] -= hops * came
        # Time counts from when the server has seen or sent it.
        moved = (DELAY if came else -DELAY) if end == C2S else 0
        seen.append(Packet(packet.nanoseconds + moved, bytes(octets)))
    return sorted(seen, key=lambda packet: packet.nanoseconds)


def slow(talk: Conversation) -> Conversation:
    """A tenth of a second between packets, so that they do not overtake each other."""
    talk.packets = [
        Packet(1_700_000_000_000_000_000 + number * 100_000_000, packet.octets)
        for number, packet in enumerate(talk.packets)
    ]
    return talk


def only(trace: Trace) -> Connection:
    (connection,) = trace.connections
    return connection


def comparable(trace: Trace) -> dict[str, object]:
    report = as_json(trace)
    for subflow in report["connections"][0]["subflows"]:
        del subflow["interfaces"]
    return report


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("hops", [0, 3])
class TestBothEnds:
    def test_together_are_as_the_clients(self, family: int, hops: int) -> None:
        packets = slow(conversation(family)).packets
        client, server = (at(end, packets, hops) for end in (C2S, S2C))
        assert comparable(trace_of_packets(client, server)) == comparable(trace_of_packets(client))

    def test_in_one_file_they_are_the_same(self, family: int, hops: int) -> None:
        packets = slow(conversation(family)).packets
        client, server = (at(end, packets, hops) for end in (C2S, S2C))
        merged = sorted(client + server, key=lambda packet: packet.nanoseconds)
        assert comparable(trace_of_packets(merged)) == comparable(trace_of_packets(client))

    def test_round_trips_are_those_of_the_client(self, family: int, hops: int) -> None:
        packets = slow(conversation(family)).packets
        client, server = (at(end, packets, hops) for end in (C2S, S2C))
        (subflow,) = only(trace_of_packets(client, server)).subflows
        assert subflow.rtt_median[C2S] == pytest.approx(0.1 + 2 * DELAY / 1e9)
        assert subflow.rtt_median[S2C] == pytest.approx(0.1 - 2 * DELAY / 1e9)


def test_what_was_lost_on_the_way_counts_as_sent() -> None:
    talk = slow(conversation())
    client, server = (at(end, talk.packets) for end in (C2S, S2C))
    lost = next(number for number, packet in enumerate(talk.packets) if len(packet.octets) > 1000)
    both = only(trace_of_packets(client, [packet for packet in server if packet.octets[4:6] != number_of(talk, lost)]))
    assert both.subflows[0].retransmitted == Volume(999, 0)
    assert both.bytes == Volume(2500, 2503)


def number_of(talk: Conversation, packet: int) -> bytes:
    return talk.packets[packet].octets[4:6]


def cut(packet: Packet) -> list[Packet]:
    """An IPv4 packet as a network card cuts it in two: options stay, the sequence number goes on."""
    octets = packet.octets
    begin = 20 + (octets[32] >> 4) * 4
    half = (len(octets) - begin) // 2
    if not half:
        return [packet]
    sequence = int.from_bytes(octets[24:28], "big")
    parts = []
    for number, (low, high) in enumerate(((begin, begin + half), (begin + half, len(octets)))):
        header = bytearray(octets[:begin])
        header[2:4] = struct.pack("!H", begin + high - low)
        header[4:6] = struct.pack("!H", (int.from_bytes(octets[4:6], "big") + number * 5000) & 0xFFFF)
        header[24:28] = struct.pack("!I", (sequence + low - begin) % (1 << 32))
        parts.append(Packet(packet.nanoseconds + number, bytes(header) + octets[low:high]))
    return parts


@pytest.mark.parametrize("one_of", [1, 3, 5, 11])
@pytest.mark.parametrize("client_first", [True, False])
def test_segments_that_a_network_card_cut_on_the_way_are_not_sent_twice(one_of: int, client_first: bool) -> None:
    """All of them, or one of so many: a card leaves those alone that are short enough."""
    packets = slow(conversation()).packets
    client, server = (at(end, packets) for end in (C2S, S2C))
    cut_up = [part for number, packet in enumerate(server) for part in ([packet] if number % one_of else cut(packet))]
    trace = trace_of_packets(*((client, cut_up) if client_first else (cut_up, client)))
    alone = only(trace_of_packets(client))
    connection = only(trace)
    assert (connection.bytes, connection.reinjected) == (alone.bytes, alone.reinjected)
    assert connection.subflows[0].mapped == alone.subflows[0].mapped
    assert connection.subflows[0].retransmitted == alone.subflows[0].retransmitted
    assert [warning for warning in trace.warnings if "different segments" in warning] == list(trace.warnings) != []


def test_what_was_lost_and_is_sent_again_in_other_segments_counts_as_sent() -> None:
    packets = slow(conversation()).packets
    lost = next(packet for packet in packets if len(packet.octets) > 1000 and not is_from_client(packet))
    arrives = [packet for packet in packets if packet is not lost] + cut(lost)
    both = only(trace_of_packets(at(C2S, arrives), at(S2C, [*arrives, lost])))
    assert both.subflows[0].retransmitted == Volume(999, 1001)


def test_a_retransmission_over_another_interface_is_one() -> None:
    talk = slow(conversation())
    client = at(C2S, talk.packets)
    again = 15
    lists = [packet for number, packet in enumerate(client) if number != again], [client[again]]
    assert only(trace_of_packets(*lists)).subflows[0].retransmitted == Volume(999, 0)


def test_machines_on_either_side_of_a_nat_have_a_connection_each() -> None:
    """They have the same token, but a subflow that was seen on one machine joins the connection seen there."""
    talk = Conversation()
    first, second = talk.connect(), talk.join()
    for way in (first, second, first):
        talk.data(way, C2S, 700)
    talk.close()
    slow(talk)
    names = {"wlan": talk.packets, "web:eth0": [translated(packet) for packet in talk.packets]}
    for order in (names, dict(reversed(names.items()))):
        trace = trace_of_named_packets(order)
        assert [len(connection.subflows) for connection in trace.connections] == [2, 2]
        assert [connection.bytes.c2s for connection in trace.connections] == [2100, 2100]
        seen = [{subflow.interfaces for subflow in connection.subflows} for connection in trace.connections]
        assert seen == [{("wlan",)}, {("web:eth0",)}]
        assert len(trace.warnings) == 1
        assert "before and after a NAT" in trace.warnings[0]


def translated(packet: Packet) -> Packet:
    """With another address of the client, as behind a router that translates it."""
    octets = bytearray(packet.octets)
    octets[12 if octets[12:15] == b"\xc0\x00\x02" else 16] = 100
    return Packet(packet.nanoseconds + DELAY, bytes(octets))
