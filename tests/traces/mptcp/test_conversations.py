"""Conversations that were made up give what is true of them."""

from __future__ import annotations

import pytest

from tests.traces.mptcp.conversation import ACK, C2S, S2C, SYN, Conversation, Packet
from tests.traces.mptcp.traces import only, trace_of_packets
from traces.mptcp.model import Direction, EventKind, MapKind, Proof, Volume


def kinds(conversation: Conversation) -> list[MapKind]:
    return [MapKind(kind) for kind in only(conversation).mappings.kind]


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("long", [True, False], ids=["64 bits", "32 bits"])
class TestEveryKindOfConnection:
    def conversation(self, version: int, family: int, long: bool) -> Conversation:
        talk = Conversation(version, family, checksums=True, long=long, seed=version * 4 + family)
        first = talk.connect()
        second = talk.join(backup=True)
        for _ in range(5):
            talk.data(first, C2S, 700)
            talk.data(second, C2S, 301)
            talk.data(second, S2C, 50)
        talk.close()
        return talk

    def test_octets_tokens_and_keys(self, version: int, family: int, long: bool) -> None:
        talk = self.conversation(version, family, long)
        connection = only(talk)
        assert connection.bytes == Volume(*talk.truth.sent)
        assert (connection.version, connection.client_token, connection.server_token) == (version, *talk.tokens)
        assert connection.initial_dsn == tuple(peer.initial_dsn for peer in talk.peers)
        assert (connection.client_key, connection.server_key) == tuple(peer.key.hex() for peer in talk.peers)
        assert connection.tokens is Proof.RIGHT

    def test_subflows(self, version: int, family: int, long: bool) -> None:
        first, second = only(self.conversation(version, family, long)).subflows
        assert (first.unique, second.unique) == (Volume(3500, 0), Volume(1505, 250))
        assert (first.is_initial, second.is_initial) == (True, False)
        assert (first.backup, second.backup) == (False, True)
        assert (second.local_id, second.remote_id, second.hmac) == (2, 0, Proof.RIGHT)
        assert second.handshake_seconds == pytest.approx(0.0002)

    def test_checksums(self, version: int, family: int, long: bool) -> None:
        connection = only(self.conversation(version, family, long))
        assert (connection.checksums, connection.checksums_wrong) == (True, 0)
        assert connection.checksums_right == 15 + 2

    def test_positions_in_the_streams(self, version: int, family: int, long: bool) -> None:
        connection = only(self.conversation(version, family, long))
        up = connection.mappings.direction == Direction.C2S
        assert connection.mappings.start[up].tolist()[:4] == [0, 700, 1001, 1701]
        assert connection.acks.position[connection.acks.direction == Direction.C2S].max() == 5005 + 1


class TestSentAgain:
    def talk(self) -> Conversation:
        talk = Conversation()
        first = talk.connect()
        talk.data(first, C2S, 1000)
        return talk

    def test_a_retransmission_is_no_new_data(self) -> None:
        talk = self.talk()
        talk.again(talk.ways[0], C2S)
        assert kinds(talk) == [MapKind.NEW, MapKind.RETRANSMITTED]
        (subflow,) = only(talk).subflows
        assert (subflow.mapped.c2s, subflow.unique.c2s, subflow.retransmitted.c2s) == (2000, 1000, 1000)

    def test_a_reinjection_counts_where_it_went(self) -> None:
        talk = self.talk()
        second = talk.join()
        talk.reinject(second, C2S, talk.ways[0])
        connection = only(talk)
        assert kinds(talk) == [MapKind.NEW, MapKind.REINJECTED]
        assert (connection.bytes.c2s, connection.reinjected) == (1000, Volume(1000, 0))
        assert [subflow.reinjected.c2s for subflow in connection.subflows] == [0, 1000]

    def test_a_reinjection_that_is_retransmitted_is_retransmitted(self) -> None:
        talk = self.talk()
        second = talk.join()
        talk.reinject(second, C2S, talk.ways[0])
        talk.again(second, C2S)
        assert kinds(talk) == [MapKind.NEW, MapKind.REINJECTED, MapKind.RETRANSMITTED]

    def test_on_the_same_subflow_under_other_numbers(self) -> None:
        talk = self.talk()
        talk.reinject(talk.ways[0], C2S, talk.ways[0])
        assert kinds(talk) == [MapKind.NEW, MapKind.REINJECTED_SAME]
        assert only(talk).subflows[0].reinjected_same.c2s == 1000

    def test_no_round_trip_is_taken_of_it(self) -> None:
        talk = self.talk()
        talk.data(talk.ways[0], C2S, 10, arrives=False)
        talk.again(talk.ways[0], C2S)
        connection = only(talk)
        assert connection.rtts.seconds.tolist() == [pytest.approx(0.0001)]


class TestSubflows:
    def test_a_syn_with_mp_join_that_is_sent_again_is_no_new_subflow(self) -> None:
        talk = Conversation()
        talk.connect()
        talk.join(syns=3)
        assert len(only(talk).subflows) == 2

    def test_one_that_the_server_opens(self) -> None:
        talk = Conversation()
        talk.connect()
        second = talk.join(opener=S2C)
        talk.data(second, C2S, 100)
        talk.data(second, S2C, 200)
        connection = only(talk)
        assert connection.subflows[1].opener is Direction.S2C
        assert (connection.subflows[1].dst, connection.subflows[1].hmac) == ("192.0.2.2", Proof.RIGHT)
        assert connection.subflows[1].unique == connection.bytes == Volume(100, 200)

    def test_a_wrong_hmac_is_told(self) -> None:
        talk = Conversation()
        talk.connect()
        talk.join(wrong_hmac=True)
        assert only(talk).subflows[1].hmac is Proof.WRONG

    def test_one_that_is_not_answered_is_none(self) -> None:
        talk = Conversation()
        talk.connect()
        talk.join()
        trace = trace_of_packets(talk.packets[:-2])
        (connection,) = trace.connections
        assert len(connection.subflows) == 1
        assert [tcp.answered for tcp in trace.tcp_connections] == [False]
        assert any("not answered" in warning for warning in trace.warnings)


class TestProof:
    """Keys are proven by what is hashed of them."""

    def test_by_where_data_begin(self) -> None:
        talk = Conversation()
        talk.data(talk.connect(), C2S, 10)
        assert only(talk).tokens is Proof.RIGHT

    def test_data_that_begin_on_a_later_subflow_refute_nothing(self) -> None:
        talk = Conversation()
        first = talk.connect()
        talk.data(talk.join(), C2S, 10)
        talk.data(first, C2S, 20)
        connection = only(talk)
        assert connection.tokens is Proof.RIGHT
        assert connection.mappings.start.tolist() == [0, 10]

    def test_by_nothing_before_there_are_data(self) -> None:
        talk = Conversation()
        talk.connect()
        assert only(talk).tokens is Proof.UNKNOWN

    def test_numbers_that_are_not_of_this_key_refute_it(self) -> None:
        talk = Conversation()
        talk.peers[C2S].next_dsn = (talk.peers[C2S].initial_dsn + (1 << 50)) % (1 << 64)
        talk.data(talk.connect(), C2S, 10)
        (connection,) = trace_of_packets(talk.packets[:4]).connections
        assert connection.tokens is Proof.WRONG


class TestWrapAround:
    def test_tcp_sequence_numbers(self) -> None:
        talk = Conversation()
        first = talk.connect(isns=((1 << 32) - 1500, (1 << 32) - 2))
        for _ in range(5):
            talk.data(first, C2S, 1000)
            talk.data(first, S2C, 10)
        talk.close()
        connection = only(talk)
        assert connection.bytes == connection.subflows[0].unique == Volume(5000, 50)

    @pytest.mark.parametrize("below", [0, 1, 2, 700, 1500])
    def test_data_sequence_numbers_of_32_bits(self, below: int) -> None:
        """With an initial DSN just below a multiple of 2^32, to which no known key hashes."""
        talk = Conversation(long=False)
        talk.peers[C2S].initial_dsn = talk.peers[C2S].initial_dsn >> 32 << 32 | 0xFFFFFFFF - below
        shifted = talk.peers[C2S].initial_dsn + 1
        talk.peers[C2S].next_dsn = talk.peers[S2C].received = shifted
        first = talk.connect()
        for _ in range(4):
            talk.data(first, C2S, 500)
        starts = only_shifted(talk)
        assert [start - starts[0] for start in starts] == [0, 500, 1000, 1500]


def only_shifted(talk: Conversation) -> list[int]:
    """Where mappings begin when the numbers are not those of the key."""
    (connection,) = trace_of_packets(talk.packets).connections
    return [int(start) for start in connection.mappings.start]


class TestMissingAndReused:
    @pytest.mark.parametrize("version", [0, 1])
    @pytest.mark.parametrize(
        ("missing", "named"), [((0,), "SYN not in"), ((1,), "SYN-ACK not in"), ((0, 1), "SYN and SYN-ACK not in")]
    )
    def test_what_both_keys_tell_is_known_nevertheless(
        self, version: int, missing: tuple[int, ...], named: str
    ) -> None:
        talk = Conversation(version)
        talk.data(talk.connect(), C2S, 100)
        trace = trace_of_packets([packet for at, packet in enumerate(talk.packets) if at not in missing])
        (connection,) = trace.connections
        assert (connection.client_token, connection.server_token) == talk.tokens
        assert connection.bytes == Volume(100, 0)
        assert any(named in warning for warning in trace.warnings)

    def test_without_any_of_the_handshake_nothing_is_guessed(self) -> None:
        talk = Conversation()
        first = talk.connect()
        for _ in range(3):
            talk.data(first, C2S, 100)
        trace = trace_of_packets(talk.packets[3:])
        (connection,) = trace.connections
        assert (connection.version, connection.client_token, connection.initial_dsn) == (None, "", (None, None))
        (subflow,) = connection.subflows
        assert (subflow.is_initial, subflow.local_id, subflow.remote_id) == (False, None, None)
        assert connection.bytes == connection.subflows[0].mapped == Volume(300, 0)
        assert len(trace.warnings) >= 2

    def test_the_address_id_of_a_subflow_whose_syn_is_missing_is_not_known(self) -> None:
        talk = Conversation()
        talk.connect()
        talk.data(talk.join(), C2S, 100)
        trace = trace_of_packets([packet for at, packet in enumerate(talk.packets) if at != 3])
        (joined,) = trace.connections[-1].subflows
        assert (joined.local_id, joined.remote_id) == (None, 0)

    def test_of_very_many_warnings_the_first_are_told(self) -> None:
        talk = Conversation()
        for _ in range(150):
            talk.send(talk.new_way(), C2S, ACK)
        trace = trace_of_packets(talk.packets)
        assert len(trace.tcp_connections) == 150
        assert (len(trace.warnings), trace.warnings[-1]) == (101, "and 50 more such warnings")

    def test_a_port_that_is_used_again_makes_another_connection(self) -> None:
        one, other = Conversation(seed=1), Conversation(seed=2)
        other.wait(60_000)
        for talk, size in ((one, 100), (other, 250)):
            talk.data(talk.connect(), C2S, size)
            talk.close()
        trace = trace_of_packets(one.packets + other.packets)
        assert [connection.bytes.c2s for connection in trace.connections] == [100, 250]
        assert [connection.client_token for connection in trace.connections] == [one.tokens[0], other.tokens[0]]
        assert any("used again" in warning for warning in trace.warnings)

    def test_data_in_a_syn_are_of_the_same_connection(self) -> None:
        talk = Conversation()
        way = talk.new_way()
        talk.send(way, C2S, SYN, payload=b"x" * 50)
        way.sent[C2S] += 50
        talk.send(way, S2C, SYN | ACK)
        acknowledges = bytearray(talk.packets[1].octets)
        acknowledges[28:32] = ((way.isn[C2S] + 51) % (1 << 32)).to_bytes(4, "big")
        talk.packets[1] = Packet(talk.packets[1].nanoseconds, bytes(acknowledges))
        talk.send(way, C2S, ACK, payload=b"y" * 20)
        trace = trace_of_packets(talk.packets)
        (tcp,) = trace.tcp_connections
        assert (tcp.bytes, tcp.answered, trace.warnings) == (Volume(70, 0), True, ())

    def test_many_syns_between_the_same_ports_take_no_longer_than_between_others(self) -> None:
        talk = Conversation()
        way = talk.new_way()
        for number in range(2000):
            way.isn[C2S] = number * 1_000_003 % (1 << 32)
            talk.send(way, C2S, SYN)
        assert len(trace_of_packets(talk.packets).tcp_connections) == 2000


class TestTimeline:
    def test_addresses_priorities_and_the_end(self) -> None:
        talk = Conversation()
        first = talk.connect()
        for flag in (0, 1):
            talk.send(
                first, S2C - flag, ACK, talk.option(3, flag, b"\x07" + bytes([203, 0, 113, 9]) + b"\x1f\x90" * flag)
            )
        talk.send(first, C2S, ACK, talk.option(4, 0, b"\x07\x08"))
        talk.send(first, C2S, ACK, talk.option(5, 1, b""))
        talk.send(first, S2C, ACK, talk.option(8, 0, b"\x03"))
        told = [(event.kind, event.detail) for event in only(talk).events]
        assert told == [
            (EventKind.SUBFLOW_OPENED, "192.0.2.1:40000 > 198.51.100.8:80"),
            (EventKind.ADD_ADDR, "id 7, 203.0.113.9"),
            (EventKind.ADD_ADDR_ECHO, "id 7, 203.0.113.9:8080"),
            (EventKind.REMOVE_ADDR, "id 7, 8"),
            (EventKind.MP_PRIO, "backup"),
            (EventKind.TCPRST, "reason 3 (administratively prohibited)"),
        ]

    def test_what_is_announced_twice_is_told_once_unless_it_was_taken_back(self) -> None:
        talk = Conversation()
        first = talk.connect()
        add, remove = talk.option(3, 0, b"\x07" + bytes(12)), talk.option(4, 0, b"\x07")
        for option in (add, add, remove, add):
            talk.send(first, S2C, ACK, option)
        assert [event.kind for event in only(talk).events[1:]] == [
            EventKind.ADD_ADDR, EventKind.REMOVE_ADDR, EventKind.ADD_ADDR
        ]  # fmt: skip


class TestMalformed:
    @pytest.mark.parametrize(
        ("option", "named"),
        [
            (bytes([30, 4, 0x20, 0x05]), "DSS has a length"),
            (bytes([30, 5, 0x00, 0x01, 0]), "MP_CAPABLE has the impossible length 5"),
            (bytes([30, 4, 0x90, 0]), "unknown subtype 9"),
            (bytes([30, 3, 0x30]), "ADD_ADDR has the impossible length 3"),
        ],
    )
    def test_an_option_is_told_of_and_passed_over(self, option: bytes, named: str) -> None:
        talk = Conversation()
        first = talk.connect()
        talk.data(first, C2S, 100)
        talk.send(first, C2S, ACK, option)
        trace = trace_of_packets(talk.packets)
        assert trace.connections[0].bytes == Volume(100, 0)
        assert any(named in warning for warning in trace.warnings)
