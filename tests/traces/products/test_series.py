"""What the plots of single segments hold: sequence, sizes of data acks, round trip times, events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.traces.products.simulation import C2S, MILLISECOND, S2C, Ack, Map, at, connection, event, subflow
from traces.mptcp.model import EventKind, MapKind, Volume
from traces.products.plot import Plot, Product, Role, Series
from traces.products.series import ack_size, data_rtt, events, rtt, sequence, sides
from traces.products.sides import side_of

NEW, AGAIN, REINJECTED, SAME = MapKind
MAPS: list[Map] = [
    (0, 0, S2C, 0, 100, NEW),
    (1, 1, S2C, 100, 50, NEW),
    (2, 0, S2C, 100, 50, REINJECTED),
    (3, 0, S2C, 0, 100, AGAIN),
    (4, 1, S2C, 100, 50, SAME),
    (5, 0, S2C, 150, 10, NEW),
    (6, 0, C2S, 0, 7, NEW),
]
ACKS: list[Ack] = [
    (10, 0, S2C, 100, 1000),
    (11, 1, S2C, 150, 1000),
    (12, 0, S2C, 150, 900),
    (15, 0, S2C, 160, 900),
    (16, 0, C2S, 7, 500),
]


def values(series: Series) -> list[tuple[float, ...]]:
    """Milliseconds since the start, y, and the top where there is one."""
    x = [(value - at(0)) / MILLISECOND for value in series.x.tolist()]
    columns: list[list[Any]] = [x, series.y.tolist()] + ([] if series.top is None else [series.top.tolist()])
    return list(zip(*columns, strict=True))


def by_role(plot: Plot) -> dict[tuple[Role, int | None], list[tuple[float, ...]]]:
    return {(series.role, series.subflow): values(series) for series in plot.series}


class TestSequence:
    def test_every_mapping_is_a_segment_of_its_subflow_marked_by_why_it_was_sent(self) -> None:
        drawn = by_role(sequence(side_of(connection(MAPS), S2C)))
        assert drawn == {
            (Role.DATA, 0): [(0, 0, 100), (5, 150, 160)],
            (Role.DATA, 1): [(1, 100, 150)],
            (Role.RETRANSMITTED, 0): [(3, 0, 100)],
            (Role.REINJECTED, 0): [(2, 100, 150)],
            (Role.REINJECTED_SAME, 1): [(4, 100, 150)],
        }

    def test_data_acks_are_points_of_the_subflow_they_came_over(self) -> None:
        drawn = by_role(sequence(side_of(connection(acks=ACKS), S2C)))
        assert drawn == {(Role.DATA_ACK, 0): [(10, 100), (12, 150), (15, 160)], (Role.DATA_ACK, 1): [(11, 150)]}

    def test_each_direction_has_its_own(self) -> None:
        drawn = by_role(sequence(side_of(connection(MAPS, ACKS), C2S)))
        assert drawn == {(Role.DATA, 0): [(6, 0, 7)], (Role.DATA_ACK, 0): [(16, 7)]}

    def test_a_direction_in_which_nothing_went_has_no_plots(self) -> None:
        assert [side.direction for side in sides(connection(MAPS[:1]))] == [S2C]
        assert sides(connection()) == ()

    def test_added_and_removed_addresses_are_marked(self) -> None:
        told = [
            event(1, EventKind.ADD_ADDR, detail="id 2, 192.0.2.1"),
            event(2, EventKind.MP_PRIO),
            event(3, EventKind.REMOVE_ADDR, way=C2S, detail="id 2"),
        ]
        plot = sequence(side_of(connection(MAPS, events=told), S2C))
        assert [(moment.time, moment.kind, moment.text) for moment in plot.moments] == [
            (at(1), "ADD_ADDR", "ADD_ADDR from the server: id 2, 192.0.2.1"),
            (at(3), "REMOVE_ADDR", "REMOVE_ADDR from the client: id 2"),
        ]


class TestAckSize:
    def test_it_is_what_no_earlier_ack_acknowledged(self) -> None:
        drawn = by_role(ack_size(side_of(connection(acks=ACKS), S2C)))
        assert drawn == {(Role.DATA_ACK, 0): [(10, 100), (12, 0), (15, 10)], (Role.DATA_ACK, 1): [(11, 50)]}

    def test_an_ack_that_was_overtaken_counts_nothing(self) -> None:
        late: list[Ack] = [(1, 0, S2C, 500, 0), (2, 1, S2C, 300, 0), (3, 0, S2C, 600, 0)]
        drawn = by_role(ack_size(side_of(connection(acks=late), S2C)))
        assert drawn == {(Role.DATA_ACK, 0): [(1, 500), (3, 100)], (Role.DATA_ACK, 1): [(2, 0)]}

    def test_a_data_fin_is_no_data(self) -> None:
        told: list[Ack] = [(1, 0, S2C, 500, 0), (2, 0, S2C, 501, 0)]
        drawn = by_role(ack_size(side_of(connection(acks=told, bytes=Volume(0, 500)), S2C)))
        assert drawn == {(Role.DATA_ACK, 0): [(1, 500), (2, 0)]}


class TestRtt:
    def test_samples_are_milliseconds_by_subflow(self) -> None:
        samples = [(10, 0, S2C, 0.010), (12, 1, S2C, 0.035), (13, 0, C2S, 0.5)]
        drawn = by_role(rtt(side_of(connection(MAPS, samples=samples), S2C)))
        assert drawn == {(Role.RTT, 0): [(10, 10.0)], (Role.RTT, 1): [(12, 35.0)]}

    @pytest.mark.parametrize(
        ("product", "x"),
        [(Product.DATA_RTT, [at(10), at(13)]), (Product.DATA_RTT_SENT, [at(0), at(5)])],
    )
    def test_of_data_it_is_until_the_first_ack_that_covers_them(self, product: Product, x: list[int]) -> None:
        maps: list[Map] = [(0, 0, S2C, 0, 100, NEW), (5, 0, S2C, 100, 60, NEW), (6, 0, S2C, 160, 10, NEW)]
        acks: list[Ack] = [(10, 0, S2C, 100, 0), (12, 0, S2C, 120, 0), (13, 0, S2C, 160, 0)]
        (series,) = data_rtt(side_of(connection(maps, acks), S2C), product).series
        assert series.x.tolist() == x
        assert series.y.tolist() == [10.0, 8.0]

    def test_by_position_the_axis_is_octets(self) -> None:
        maps: list[Map] = [(0, 0, S2C, 100, 50, NEW), (1, 0, S2C, 0, 100, NEW)]
        plot = data_rtt(side_of(connection(maps, [(9, 0, S2C, 150, 0)]), S2C), Product.DATA_RTT_SEQUENCE)
        assert plot.x.column == "octets"
        assert not plot.moments
        assert (plot.series[0].x.tolist(), plot.series[0].y.tolist()) == ([0, 100], [8.0, 9.0])

    def test_data_that_were_sent_again_have_none(self) -> None:
        plot = data_rtt(side_of(connection(MAPS, ACKS), S2C), Product.DATA_RTT)
        assert by_role(plot) == {(Role.RTT, 0): [(15, 10.0)]}

    def test_an_ack_from_before_the_data_is_no_sample(self) -> None:
        maps: list[Map] = [(5, 0, S2C, 0, 10, NEW)]
        assert data_rtt(side_of(connection(maps, [(4, 0, S2C, 10, 0)]), S2C), Product.DATA_RTT).series == ()


class TestEvents:
    def test_each_kind_that_happened_has_a_lane(self) -> None:
        told = [
            event(5, EventKind.DATA_FIN),
            event(1, EventKind.ADD_ADDR, detail="id 2"),
            event(2, EventKind.ADD_ADDR_ECHO, 1, C2S),
        ]
        plot = events(connection(events=told))
        assert plot.y.lanes == ("ADD_ADDR", "ADD_ADDR echo", "DATA_FIN")
        assert by_role(plot) == {(Role.EVENT, 0): [(1, 0), (5, 2)], (Role.EVENT, 1): [(2, 1)]}
        assert plot.series[0].labels == ("ADD_ADDR from the server: id 2", "DATA_FIN from the server")

    def test_one_on_a_subflow_that_is_not_known_is_there_too(self) -> None:
        plot = events(connection(subflows=[subflow(0)], events=[event(1, EventKind.SUBFLOW_RST, 7)]))
        assert [series.subflow for series in plot.series] == [7]
