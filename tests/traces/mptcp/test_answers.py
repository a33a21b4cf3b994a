"""When TCP acknowledged the segments that carry data."""

from __future__ import annotations

import pytest

from tests.traces.mptcp.conversation import C2S, S2C, Conversation
from tests.traces.mptcp.traces import trace_of_packets
from traces.mptcp.model import NEVER

TENTH = 100_000
"""Nanoseconds from one packet to the next."""


def waits(talk: Conversation) -> list[int]:
    """Nanoseconds from each mapping to its acknowledgement; -1 where there was none."""
    (connection,) = trace_of_packets(talk.packets).connections
    maps = connection.mappings
    return [
        -1 if acked == NEVER else acked - time
        for time, acked in zip(maps.time.tolist(), maps.acked.tolist(), strict=True)
    ]


@pytest.mark.parametrize("opener", [C2S, S2C])
@pytest.mark.parametrize("direction", [C2S, S2C])
def test_it_is_on_the_same_subflow_by_the_first_that_covers_the_whole_segment(opener: int, direction: int) -> None:
    talk = Conversation()
    first = talk.connect()
    second = talk.join(opener=opener)
    talk.data(second, direction, 100)
    talk.data(first, direction, 50, arrives=False)
    talk.data(second, direction, 70, arrives=False)
    talk.data(first, direction, 30)
    talk.acknowledge(second, 1 - direction)
    # The second of the first subflow is acknowledged with its third, behind that of the other.
    assert waits(talk) == [TENTH, 3 * TENTH, 3 * TENTH, TENTH]


def test_what_is_never_acknowledged_stays_so() -> None:
    talk = Conversation()
    talk.data(talk.connect(), C2S, 100, arrives=False)
    assert waits(talk) == [-1]


def test_a_retransmission_is_acknowledged_with_what_it_repeats() -> None:
    talk = Conversation()
    way = talk.connect()
    talk.data(way, C2S, 100, arrives=False)
    talk.again(way, C2S)
    first, again = waits(talk)
    assert first - again == 1_000_000 + TENTH
    assert again == TENTH


def test_it_is_known_also_where_the_handshake_is_missing() -> None:
    talk = Conversation()
    way = talk.connect()
    begun = len(talk.packets)
    talk.data(way, C2S, 100)
    (connection,) = trace_of_packets(talk.packets[begun:]).connections
    assert (connection.mappings.acked - connection.mappings.time).tolist() == [TENTH]
