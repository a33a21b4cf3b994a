"""Sums of payloads, wherever they lie in the octets of a capture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.conftest import capture
from tests.traces.mptcp.conversation import C2S, S2C, Conversation, Packet, internet_checksum
from tests.traces.mptcp.traces import only, trace_of_packets
from traces.mptcp.checksum import payload_sums
from traces.reading.reading import read_captures
from traces.reading.segments import Segments


@pytest.fixture(scope="module")
def piece() -> Segments:
    (found,) = read_captures([capture("v1/v1_single.client.pcap")])
    return found


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=6), st.integers(0, 3))
def test_many_at_once_are_as_one_by_one(piece: Segments, payloads: list[bytes], before: int) -> None:
    at = before + np.cumsum([0, *(len(payload) for payload in payloads)])[:-1]
    lengths = np.array([len(payload) for payload in payloads], np.uint32)
    few = replace(
        piece, time=piece.time[: len(payloads)], payload=lengths, captured=lengths, payload_at=at.astype(np.int64),
        octets=np.frombuffer(bytes(range(1, before + 1)) + b"".join(payloads), np.uint8),
    )  # fmt: skip
    sums, whole = payload_sums(few)
    assert whole.tolist() == [len(payload) > 0 for payload in payloads]
    # All ones and all zeros are the same number in ones' complement.
    assert [int(total) % 0xFFFF for total in sums] == [
        (~internet_checksum(payload) & 0xFFFF) % 0xFFFF for payload in payloads
    ]


class TestOfMappings:
    def talk(self, size: int = 333) -> Conversation:
        talk = Conversation(checksums=True)
        talk.data(talk.connect(), C2S, size)
        return talk

    def test_an_octet_that_was_changed_on_the_way_is_noticed(self) -> None:
        talk = self.talk()
        packet = talk.packets[3]
        talk.packets[3] = Packet(packet.nanoseconds, packet.octets[:-1] + bytes([packet.octets[-1] ^ 1]))
        connection = only(talk)
        assert (connection.checksums_right, connection.checksums_wrong) == (0, 1)

    def test_what_was_not_captured_whole_is_not_judged(self) -> None:
        trace = trace_of_packets(self.talk().packets, snap_length=200)
        (connection,) = trace.connections
        assert (connection.checksums, connection.checksums_right, connection.checksums_wrong) == (True, 0, 0)

    @pytest.mark.parametrize("sizes", [(100, 200), (101, 200, 3), (1, 1, 1)])
    def test_over_several_segments(self, sizes: tuple[int, ...]) -> None:
        """As when a network card cuts a segment: each part repeats the mapping of the whole."""
        talk = Conversation(checksums=True)
        way, total = talk.connect(), sum(sizes)
        payload = talk.random.randbytes(total)
        option = talk.dss(C2S, dsn=talk.peers[C2S].next_dsn, ssn=1, payload=payload)
        for at, size in enumerate(sizes):
            begin = sum(sizes[:at])
            talk.send(way, C2S, 0x10, option, payload=payload[begin : begin + size], sequence=1 + begin)
        talk.peers[C2S].next_dsn += total
        way.sent[C2S] += total
        talk.acknowledge(way, S2C)
        connection = only(talk)
        assert (connection.checksums_right, connection.checksums_wrong) == (1, 0)
        assert connection.subflows[0].mapped.c2s == total
