"""Connections that go on as plain TCP, and those that begin with data in the SYN."""

from __future__ import annotations

import pytest

from tests.traces.mptcp.conversation import ACK, C2S, S2C, SYN, Conversation, Packet, Way
from tests.traces.mptcp.traces import only, trace_of_packets
from traces.mptcp.model import Connection, EventKind, Volume


class TestFallback:
    def test_the_syn_ack_has_no_mptcp(self) -> None:
        talk = Conversation()
        way = talk.new_way()
        talk.send(way, C2S, SYN, talk.option(0, 1, b"\x01"))
        talk.send(way, S2C, SYN | ACK)
        talk.send(way, C2S, ACK, payload=b"x" * 10)
        trace = trace_of_packets(talk.packets)
        (tcp,) = trace.tcp_connections
        assert (trace.connections, tcp.asked, tcp.fallback) == ((), 1, "no MP_CAPABLE in the SYN-ACK")
        assert tcp.bytes == Volume(10, 0)

    def test_the_answer_is_of_another_version(self) -> None:
        talk = Conversation()
        way = talk.new_way()
        talk.send(way, C2S, SYN, talk.option(0, 1, b"\x01"))
        talk.send(way, S2C, SYN | ACK, talk.option(0, 0, b"\x01" + bytes(8)))
        (tcp,) = trace_of_packets(talk.packets).tcp_connections
        assert tcp.fallback == "version 1 asked for, version 0 answered"

    def test_nothing_but_the_syns_has_mptcp(self) -> None:
        talk = Conversation()
        way = talk.new_way()
        talk.send(way, C2S, SYN, talk.option(0, 1, b"\x01"))
        talk.send(way, S2C, SYN | ACK, talk.option(0, 1, b"\x01" + talk.peers[S2C].key))
        talk.send(way, C2S, ACK)
        talk.send(way, C2S, ACK, payload=b"x" * 10)
        way.sent[C2S] += 10
        talk.send(way, S2C, ACK)
        (connection,) = trace_of_packets(talk.packets).connections
        assert connection.fallback == "no MP_CAPABLE after the SYN-ACK"
        assert (connection.server_token, connection.client_token) == (talk.tokens[1], "")
        assert connection.bytes == connection.subflows[0].unique == Volume(10, 0)
        assert [event.kind for event in connection.events] == [EventKind.SUBFLOW_OPENED, EventKind.FALLBACK]

    @pytest.mark.parametrize("after", ["", "MP_FAIL"])
    def test_an_infinite_mapping(self, after: str) -> None:
        talk = Conversation()
        way = talk.connect()
        talk.data(way, C2S, 100)
        if after:
            talk.send(way, S2C, ACK, talk.option(6, 0, b"\0" + bytes(8)))
        talk.send(way, C2S, ACK, talk.dss(C2S, dsn=talk.peers[C2S].next_dsn, ssn=way.sent[C2S]))
        talk.send(way, C2S, ACK, payload=b"x" * 30)
        way.sent[C2S] += 30
        talk.send(way, S2C, ACK)
        connection = only(talk)
        assert connection.fallback == ("infinite mapping after MP_FAIL" if after else "infinite mapping")
        assert connection.bytes == connection.subflows[0].unique == Volume(130, 0)

    def test_data_that_go_on_without_dss(self) -> None:
        """As when a middlebox begins to strip options: nothing says so, and both ends go on as plain TCP."""
        talk = Conversation()
        way = talk.connect()
        talk.data(way, C2S, 100)
        talk.data(way, S2C, 70)
        without_dss(talk, way)
        connection = only(talk)
        assert connection.fallback == "data go on without DSS"
        assert connection.bytes == connection.subflows[0].unique == Volume(130, 90)

    def test_data_whose_mapping_was_lost_are_no_fallback(self) -> None:
        talk = Conversation()
        way = talk.connect()
        talk.data(way, C2S, 100)
        without_dss(talk, way)
        talk.acknowledge(way, C2S)
        assert only_connection(talk).fallback == ""

    def test_nor_are_they_beside_another_subflow(self) -> None:
        talk = Conversation()
        way = talk.connect()
        talk.join()
        talk.data(way, C2S, 100)
        without_dss(talk, way)
        assert only_connection(talk).fallback == ""


def without_dss(talk: Conversation, way: Way) -> None:
    """30 octets from the client and 20 from the server, and nobody's option."""
    for direction, size in ((C2S, 30), (S2C, 20)):
        talk.send(way, direction, ACK, payload=b"x" * size)
        way.sent[direction] += size
    talk.send(way, C2S, ACK)


def only_connection(talk: Conversation) -> Connection:
    (connection,) = trace_of_packets(talk.packets).connections
    return connection


class TestFastOpen:
    def test_octets_in_the_syn_come_before_those_that_data_acknowledgements_count(self) -> None:
        """As Linux does (RFC 8684 appendix B)."""
        talk = opened_with(50)
        way, payload = talk.ways[0], b"y" * 100
        # Subflow sequence numbers count from behind them, too.
        mapping = talk.dss(C2S, dsn=talk.peers[C2S].next_dsn, ssn=1, payload=payload)
        talk.send(way, C2S, ACK, mapping, payload=payload)
        way.sent[C2S] += len(payload)
        talk.peers[C2S].next_dsn += len(payload)
        talk.acknowledge(way, S2C)
        connection = only_connection(talk)
        assert connection.bytes == Volume(150, 0)
        assert connection.subflows[0].handshake_seconds == pytest.approx(0.0002)

    def test_what_the_syn_ack_does_not_acknowledge_counts_when_it_is_sent_again(self) -> None:
        talk = opened_with(50, accepted=False)
        talk.data(talk.ways[0], C2S, 150)
        assert only_connection(talk).bytes == Volume(150, 0)


def opened_with(size: int, *, accepted: bool = True) -> Conversation:
    """A handshake with so many octets of data in its SYN."""
    talk = Conversation()
    way, (client, server) = talk.new_way(), talk.peers
    talk.send(way, C2S, SYN, talk.option(0, 1, b"\x01"), payload=b"x" * size)
    talk.send(way, S2C, SYN | ACK, talk.option(0, 1, b"\x01" + server.key))
    if accepted:
        way.sent[C2S] += size
        answer = bytearray(talk.packets[1].octets)
        answer[28:32] = ((way.isn[C2S] + 1 + size) % (1 << 32)).to_bytes(4, "big")
        talk.packets[1] = Packet(talk.packets[1].nanoseconds, bytes(answer))
    talk.send(way, C2S, ACK, talk.option(0, 1, b"\x01" + client.key + server.key))
    return talk
