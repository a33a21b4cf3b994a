"""What is on its way: exact for small transfers, and as counted octet by octet for random ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.products.simulation import S2C, Ack, Map, at, connection
from traces.mptcp.model import MapKind
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


def test_the_sum_of_the_subflows_counts_what_is_on_its_way_twice_twice() -> None:
    drawn = drawn_steps(flight(side_of(connection(MAPS, ACKS), S2C)))
    assert drawn["sum of the subflows' flights"] == [(0, 100), (1, 150), (2, 200), (4, 140), (5, 0), (6, 0)]


def test_the_window_is_what_is_left_of_the_furthest_right_edge() -> None:
    drawn = drawn_steps(flight(side_of(connection(MAPS, ACKS), S2C)))
    assert drawn["window"] == [(4, 1000), (5, 910), (6, 910)]


def test_each_subflow_has_its_share() -> None:
    drawn = drawn_steps(subflow_flight(side_of(connection(MAPS, ACKS), S2C)))
    assert drawn["subflow 0, flight"] == [(0, 100), (2, 150), (4, 90), (5, 0), (6, 0)]
    assert drawn["subflow 1, flight"] == [(0, 0), (1, 50), (5, 0), (6, 0)]


def test_data_that_were_acknowledged_already_are_never_on_their_way() -> None:
    maps: list[Map] = [(0, 0, S2C, 0, 100, NEW), (2, 1, S2C, 0, 100, REINJECTED)]
    drawn = drawn_steps(subflow_flight(side_of(connection(maps, [(1, 0, S2C, 100, 0)]), S2C)))
    assert drawn["subflow 1, flight"] == [(0, 0), (2, 0)]


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


SENT = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 6), st.booleans()), min_size=1, max_size=12)


@given(SENT, st.data())
def test_a_subflow_has_on_its_way_what_octets_say_one_by_one(
    sent: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    """Random transfers: each piece is new, or some of what was sent before; acks of what was sent come in between."""
    maps: list[Map] = []
    acks: list[Ack] = []
    carried: dict[int, set[int]] = {0: set(), 1: set()}
    end = acknowledged = 0
    expected: list[dict[int, int]] = []
    for time, (subflow, length, repeats) in enumerate(sent):
        start = data.draw(st.integers(0, end - 1)) if repeats and end else end
        piece = set(range(start, min(start + length, end) if repeats and end else start + length))
        fresh = not piece & carried[subflow]
        if fresh:
            maps.append((2 * time, subflow, S2C, start, len(piece), REINJECTED if repeats and end else NEW))
            carried[subflow] |= {octet for octet in piece if octet >= acknowledged}
        end = max(end, start + len(piece)) if fresh else end
        acknowledged = data.draw(st.integers(acknowledged, end))
        acks.append((2 * time + 1, subflow, S2C, acknowledged, 0))
        expected.append({one: sum(octet >= acknowledged for octet in carried[one]) for one in carried})
    side: Side = side_of(connection(maps, acks), S2C)
    times = np.array([at(2 * time + 1) for time in range(len(sent))], dtype=np.int64)
    for one in carried:
        assert unacknowledged(side, one, times).tolist() == [flights[one] for flights in expected]
