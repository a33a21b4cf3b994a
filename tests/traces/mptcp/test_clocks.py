"""Captures of machines whose clocks differ say what they would with one clock."""

from __future__ import annotations

import pytest

from tests.traces.mptcp.conversation import C2S, S2C, Conversation, Packet
from tests.traces.mptcp.test_copies import at, comparable, conversation, only, slow
from tests.traces.mptcp.traces import trace_of_named_packets, trace_of_packets

SECONDS = 1_000_000_000
SKEWS = [-5 * SECONDS, -50_000_000, 50_000_000, 5 * SECONDS]
"""Nanoseconds; all more than the way takes."""


def ahead(packets: list[Packet], skew: int) -> list[Packet]:
    """By a clock that is so far ahead."""
    return [Packet(packet.nanoseconds + skew, packet.octets) for packet in packets]


@pytest.mark.parametrize("skew", SKEWS)
@pytest.mark.parametrize("server_first", [False, True])
def test_both_ends_are_as_the_clients(skew: int, server_first: bool) -> None:
    packets = slow(conversation()).packets
    client, server = at(C2S, packets), ahead(at(S2C, packets), skew)
    both, alone = trace_of_packets(*((server, client) if server_first else (client, server))), trace_of_packets(client)
    (told,) = both.warnings
    assert f"is {skew / 1e9:.3f} s ahead" in told
    assert comparable(both) | {"warnings": []} == comparable(alone)


@pytest.mark.parametrize("skew", SKEWS)
def test_connections_of_one_port_do_not_mix(skew: int) -> None:
    packets: list[Packet] = []
    for number in range(2):
        talk = Conversation(seed=number)
        talk.data(talk.connect(isns=(1000 + 3_000_000_000 * number, 5000)), C2S, 100)
        talk.close()
        packets += ahead(talk.packets, number * SECONDS // 2)
    client, server = at(C2S, packets), ahead(at(S2C, packets), skew)
    assert [one.bytes.c2s for one in trace_of_packets(client, server).connections] == [100, 100]


def test_interfaces_of_one_machine_have_one_clock() -> None:
    """The second subflow was seen on the guest only, whose clock the first one tells."""
    talk = Conversation()
    first, second = talk.connect(), talk.join()
    for way in (first, second):
        talk.data(way, C2S, 700)
    talk.close()
    packets = slow(talk).packets
    guest = ahead(at(C2S, packets), 5 * SECONDS)
    on_first = [packet for packet in guest if b"\xc0\x00\x02\x01" in packet.octets[12:20]]
    on_second = [packet for packet in guest if packet not in on_first]
    web = [packet for packet in at(S2C, packets) if b"\xc0\x00\x02\x01" in packet.octets[12:20]]
    alone = only(trace_of_packets(at(C2S, packets)))
    both = only(trace_of_named_packets({"guest:0": on_first, "guest:1": on_second, "web:0": web}))
    assert [one.started - both.started for one in both.subflows] == pytest.approx(
        [one.started - alone.started for one in alone.subflows]
    )


def test_clocks_that_agree_are_left_alone() -> None:
    packets = slow(conversation()).packets
    assert trace_of_packets(at(C2S, packets), at(S2C, packets)).warnings == ()
