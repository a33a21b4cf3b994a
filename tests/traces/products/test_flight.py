"""What is on its way: exact for small transfers, and as counted octet by octet for random ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.products.simulation import S2C, Ack, Map, at, connection
from traces.mptcp.model import NEVER, MapKind
from traces.products.flight import flight, right_edge, subflow_flight, unacknowledged, window_limited
from traces.products.plot import Plot
from traces.products.sides import Side, side_of

NEW, AGAIN, REINJECTED, SAME = MapKind
MAPS: list[Map] = [
    (0, 0, S2C, 0, 100, NEW),
    (1, 1, S2C, 100, 50, NEW),
    (2, 0, S2C, 100, 50, REINJECTED),
    (3, 0, S2C, 0, 100, AGAIN),
]
TCP_ACKED = 4, 2.5, 5, 4
"""When TCP acknowledged each of them."""
ACKS: list[Ack] = [(4, 0, S2C, 60, 1000), (5, 0, S2C, 150, 800), (6, 1, S2C, 100, 10)]


def drawn_steps(plot: Plot) -> dict[str, list[tuple[float, int]]]:
    """By name: milliseconds since the start, and the value from then on."""
    return {
        series.name: [((x - at(0)) / 1e6, y) for x, y in zip(series.x.tolist(), series.y.tolist(), strict=True)]
        for series in plot.series
    }


def test_flight_is_what_was_sent_and_not_acknowledged() -> None:
    drawn = drawn_steps(flight(side_of(connection(MAPS, ACKS), S2C)))
    assert drawn["flight"] == [(0, 100), (1, 150), (4, 90), (5, 0), (6, 0)]


def test_the_sum_of_the_subflows_is_what_tcp_has_on_its_way_twice_what_is_on_it_twice() -> None:
    drawn = drawn_steps(flight(side_of(connection(MAPS, ACKS, acked=TCP_ACKED), S2C)))
    assert drawn["sum of the subflows' TCP flights"] == [
        (0, 100),
        (1, 150),
        (2, 200),
        (2.5, 150),
        (4, 50),
        (5, 0),
        (6, 0),
    ]


def test_the_window_is_what_is_left_of_the_furthest_right_edge() -> None:
    drawn = drawn_steps(flight(side_of(connection(MAPS, ACKS), S2C)))
    assert drawn["window"] == [(4, 1000), (5, 910), (6, 910)]


def test_each_subflow_has_its_share() -> None:
    drawn = drawn_steps(subflow_flight(side_of(connection(MAPS, ACKS, acked=TCP_ACKED), S2C)))
    assert drawn["subflow 0, flight"] == [(0, 100), (2, 150), (4, 50), (5, 0), (6, 0)]
    assert drawn["subflow 1, flight"] == [(0, 0), (1, 50), (2.5, 0), (6, 0)]


def test_what_tcp_never_acknowledged_stays_on_its_way() -> None:
    maps: list[Map] = [(0, 0, S2C, 0, 100, NEW), (2, 1, S2C, 0, 100, REINJECTED)]
    drawn = drawn_steps(subflow_flight(side_of(connection(maps, [(3, 1, S2C, 100, 0)], acked=[None, 3]), S2C)))
    assert drawn["subflow 0, flight"] == [(0, 100), (3, 100)]
    assert drawn["subflow 1, flight"] == [(0, 0), (2, 100), (3, 0)]


def test_a_copy_that_was_seen_after_its_acknowledgement_was_never_on_its_way() -> None:
    maps: list[Map] = [(0, 0, S2C, 0, 10, NEW), (2, 0, S2C, 10, 10, NEW)]
    drawn = drawn_steps(subflow_flight(side_of(connection(maps, acked=[3, 1]), S2C)))
    assert drawn["subflow 0, flight"] == [(0, 10), (3, 0)]


def test_acks_of_data_that_the_capture_missed_leave_nothing_on_its_way() -> None:
    drawn = drawn_steps(flight(side_of(connection([(0, 0, S2C, 0, 10, NEW)], [(1, 0, S2C, 500, 100)]), S2C)))
    assert drawn["flight"] == [(0, 10), (1, 0)]


def test_right_edge_sent_and_acknowledged_only_move_forward() -> None:
    drawn = drawn_steps(right_edge(side_of(connection(MAPS, ACKS), S2C)))
    assert drawn == {
        "right edge": [(4, 1060), (6, 1060)],
        "highest sent": [(0, 100), (1, 150), (3, 150)],
        "acknowledged": [(4, 60), (5, 150), (6, 150)],
    }


def test_without_a_window_scale_there_is_no_right_edge() -> None:
    side = side_of(connection(MAPS, [(4, 0, S2C, 60, -1), (5, 0, S2C, 150, -1)]), S2C)
    assert set(drawn_steps(right_edge(side))) == {"highest sent", "acknowledged"}
    assert "window" not in drawn_steps(flight(side))


def test_how_long_the_window_had_no_room_is_part_of_the_time() -> None:
    """Room for 1000 at first, for none from 6 ms on, for more from 8 ms on, and the last data at 10 ms."""
    sent: list[Map] = [(0, 0, S2C, 0, 100, NEW), (2, 0, S2C, 100, 100, NEW), (6, 0, S2C, 200, 950, NEW)]
    acks: list[Ack] = [(2, 0, S2C, 100, 1050), (8, 0, S2C, 1150, 5000)]
    last: list[Map] = [(10, 0, S2C, 1150, 10, NEW)]
    side = side_of(connection([*sent, *last], acks), S2C)
    assert window_limited(side) == 0.25


def test_without_a_window_nobody_knows_what_limited() -> None:
    assert window_limited(side_of(connection(MAPS, [(1, 0, S2C, 60, -1)]), S2C)) is None
    assert window_limited(side_of(connection(MAPS), S2C)) is None
    assert window_limited(side_of(connection(), S2C)) is None


SENT = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 6), st.sampled_from(MapKind), st.none() | st.integers(-2, 12)),
    min_size=1, max_size=12,
)  # fmt: skip


@given(SENT)
def test_tcp_has_on_its_way_what_segments_say_one_by_one(
    sent: list[tuple[int, int, MapKind, int | None]],
) -> None:
    """Random segments over three subflows, each acknowledged some time after it was sent, or before, or never."""
    maps: list[Map] = [
        (number, flow, S2C, 10 * number, length, kind) for number, (flow, length, kind, _) in enumerate(sent)
    ]
    answers = [None if later is None else number + later for number, (*_, later) in enumerate(sent)]
    side: Side = side_of(connection(maps, acked=answers), S2C)
    gone = [NEVER if answer is None else max(number, answer) for number, answer in enumerate(answers)]
    times = range(-1, len(sent) + 13)
    for one in range(3):
        expected = [
            sum(
                length
                for number, (flow, length, kind, _) in enumerate(sent)
                if flow == one and kind is not AGAIN and number <= time < gone[number]
            )
            for time in times
        ]
        assert unacknowledged(side, one, np.array([at(time) for time in times], np.int64)).tolist() == expected
