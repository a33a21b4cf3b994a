"""What happens between two places where was captured, such as loss, and middleboxes that strip options."""

from __future__ import annotations

import pytest

from tests.traces.mptcp.conversation import ACK, C2S, S2C, SYN, Conversation, Packet
from tests.traces.mptcp.test_copies import DELAY, at, conversation, is_from_client, only, slow
from tests.traces.mptcp.traces import trace_of_named_packets, trace_of_packets


def stripped(packet: Packet) -> Packet:
    """As nft's `reset tcp option mptcp` leaves it: no-operations where the option was (IPv4)."""
    octets = bytearray(packet.octets)
    end, here = 20 + (octets[32] >> 4) * 4, 40
    while here < end:
        kind, size = octets[here], octets[here + 1] if octets[here] > 1 else 1
        if kind == 30:
            octets[here : here + size] = b"\x01" * size
        here += size
    return Packet(packet.nanoseconds, bytes(octets))


class TestAMiddleboxBetweenTwoPlaces:
    def test_packets_whose_option_it_strips_are_not_sent_twice(self) -> None:
        packets = slow(conversation()).packets
        client, server = at(C2S, packets), at(S2C, packets)
        both = only(trace_of_packets(client, server[:3] + [stripped(packet) for packet in server[3:]]))
        assert both.subflows[0].retransmitted == only(trace_of_packets(client)).subflows[0].retransmitted

    def test_a_syn_whose_option_it_strips_is_one(self) -> None:
        talk = Conversation()
        way = talk.new_way()
        talk.send(way, C2S, SYN, talk.option(0, 1, b"\x01"))
        talk.send(way, S2C, SYN | ACK)
        talk.send(way, C2S, ACK, payload=b"x" * 10)
        client, server = (at(end, slow(talk).packets) for end in (C2S, S2C))
        (tcp,) = trace_of_packets(client, [stripped(packet) for packet in server]).tcp_connections
        assert len(tcp.syn_ttls) == 1


def test_interfaces_are_all_those_that_saw_the_subflow() -> None:
    packets = slow(conversation()).packets
    captures = {"client": at(C2S, packets), "server": at(S2C, packets)}
    for order in (captures, dict(reversed(captures.items()))):
        (subflow,) = only(trace_of_named_packets(order)).subflows
        assert sorted(subflow.interfaces) == ["client", "server"]


def test_an_acknowledgement_that_was_lost_on_the_way_is_no_round_trip() -> None:
    """It was seen at the server only: from the client's segment to it is half a round trip."""
    talk = Conversation()
    way = talk.connect()
    for _ in range(5):
        talk.data(way, C2S, 100)
    packets = slow(talk).packets
    lost = [one for one in packets[3:] if not is_from_client(one)][1:3]
    client = at(C2S, [one for one in packets if one not in lost])
    (connection,) = trace_of_packets(client, at(S2C, packets)).connections
    assert max(connection.rtts.seconds) == pytest.approx(0.1 + 2 * DELAY / 1e9)
    assert min(connection.rtts.seconds) == pytest.approx(0.1 + 2 * DELAY / 1e9)
