"""Where data are in their streams, when mappings, SYNs or the begin of the capture make that hard to tell."""

from __future__ import annotations

from tests.traces.mptcp.conversation import ACK, C2S, PSH, S2C, SYN, Conversation, Packet
from tests.traces.mptcp.traces import trace_of_packets
from traces.mptcp.model import Volume


def test_plain_tcp_that_is_captured_from_its_midst_out_of_order() -> None:
    talk = Conversation()
    way = talk.new_way()
    for sequence in (1401, 1, 2801):
        talk.send(way, C2S, ACK | PSH, payload=b"x" * 1400, sequence=sequence)
    (tcp,) = trace_of_packets(talk.packets).tcp_connections
    assert tcp.bytes == Volume(4200, 0)


def test_a_short_mapping_within_a_long_one_hides_nothing_behind_it() -> None:
    """One mapping over 4000 octets, its second part again with a mapping of its own, and the rest without any."""
    talk = Conversation()
    way = talk.connect()
    begin, payload = talk.peers[C2S].next_dsn, b"x" * 4000
    talk.send(way, C2S, ACK, talk.dss(C2S, dsn=begin, ssn=1, payload=payload), payload=payload[:1000], sequence=1)
    again = talk.dss(C2S, dsn=begin + 1000, ssn=1001, payload=payload[:1000])
    talk.send(way, C2S, ACK, again, payload=payload[:1000], sequence=1001)
    talk.send(way, C2S, ACK, payload=payload[:2000], sequence=2001)
    way.sent[C2S] += 4000
    talk.peers[C2S].next_dsn += 4000
    talk.acknowledge(way, S2C)
    trace = trace_of_packets(talk.packets)
    assert trace.connections[0].subflows[0].mapped == Volume(4000, 0)
    assert trace.warnings == ()


def test_subflow_sequence_numbers_do_not_count_data_in_the_syn() -> None:
    """As Linux 6.18 sends it: 500 octets in the SYN, and the first DSS has subflow sequence number 1."""
    talk = Conversation()
    way, (client, server) = talk.new_way(), talk.peers
    talk.send(way, C2S, SYN, talk.option(0, 1, b"\x01"), payload=b"x" * 50)
    talk.send(way, S2C, SYN | ACK, talk.option(0, 1, b"\x01" + server.key))
    answer = bytearray(talk.packets[1].octets)
    answer[28:32] = ((way.isn[C2S] + 51) % (1 << 32)).to_bytes(4, "big")
    talk.packets[1] = Packet(talk.packets[1].nanoseconds, bytes(answer))
    way.sent[C2S] += 50
    talk.send(way, C2S, ACK, talk.option(0, 1, b"\x01" + client.key + server.key))
    talk.send(
        way, C2S, ACK, talk.dss(C2S, dsn=client.next_dsn, ssn=1, payload=b"y" * 100), payload=b"y" * 100,
        sequence=51,
    )  # fmt: skip
    client.next_dsn += 100
    way.sent[C2S] += 100
    talk.acknowledge(way, S2C)
    trace = trace_of_packets(talk.packets)
    assert trace.warnings == ()
    (connection,) = trace.connections
    assert connection.bytes == Volume(150, 0)
    assert [int(start) for start in connection.mappings.start][-1] == 0
