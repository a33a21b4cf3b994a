"""The products that show what single segments did: sequence, sizes of data acks, round trip times, events."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from traces.mptcp.model import Connection, Direction, Event, EventKind, MapKind
from traces.products.plot import TIME, Axis, Int64, Moment, Plot, Product, Role, Series, Shape
from traces.products.sides import Side, nanoseconds, side_of

OCTETS = Axis("position (octets)", "octets")
ACK_SIZE = Axis("ack size (octets)", "octets")
RTT = Axis("round trip time (ms)", "rtt_ms", large=False)
ROLES = {
    MapKind.NEW: Role.DATA,
    MapKind.RETRANSMITTED: Role.RETRANSMITTED,
    MapKind.REINJECTED: Role.REINJECTED,
    MapKind.REINJECTED_SAME: Role.REINJECTED_SAME,
}
MARKED = (EventKind.ADD_ADDR, EventKind.REMOVE_ADDR)
"""Events that every plot over time shows."""


def sequence(side: Side) -> Plot:
    """DSS mappings by subflow, each a segment from its first octet to behind its last, and data acknowledgements."""
    sent, acked = side.sent, side.acked
    series = [
        Series(subflow_name(number, role), role, Shape.SEGMENTS, number, sent.time[at], sent.start[at], sent.end[at])
        for kind, role in ROLES.items()
        for number, at in by_subflow(side.connection, sent.subflow, sent.kind == kind)
    ]
    series += [
        Series(
            subflow_name(number, Role.DATA_ACK), Role.DATA_ACK, Shape.POINTS, number, acked.time[at], acked.position[at]
        )
        for number, at in by_subflow(side.connection, acked.subflow)
    ]
    return plot_of(side, Product.SEQUENCE, "sequence", OCTETS, series)


def ack_size(side: Side) -> Plot:
    """How many octets each data acknowledgement is the first to acknowledge."""
    acked = side.acked
    size = np.diff(acked.highest, prepend=0)
    series = [
        Series(subflow_name(number, Role.DATA_ACK), Role.DATA_ACK, Shape.POINTS, number, acked.time[at], size[at])
        for number, at in by_subflow(side.connection, acked.subflow)
    ]
    return plot_of(side, Product.ACK_SIZE, "size of data acknowledgements", ACK_SIZE, series)


def rtt(side: Side) -> Plot:
    """Round trip times of each subflow's TCP segments, when the acknowledgement came by."""
    samples = side.connection.rtts
    mine = samples.direction == side.direction
    time, milliseconds, subflow = samples.time[mine], samples.seconds[mine] * 1e3, samples.subflow[mine]
    series = [
        Series(subflow_name(number, Role.RTT), Role.RTT, Shape.POINTS, number, time[at], milliseconds[at])
        for number, at in by_subflow(side.connection, subflow.astype(np.int64))
    ]
    return plot_of(side, Product.RTT, "round trip time by TCP acknowledgements", RTT, series)


def data_rtt(side: Side, product: Product) -> Plot:
    """From a mapping that was sent once to the data acknowledgement that covers it, by subflow.

    `product` says what the x axis is: when the acknowledgement came, when the data were sent, or their position.
    Data that were sent again are left out: one cannot tell which of them was acknowledged (Karn).
    """
    sent, acked = side.sent, side.acked
    at = np.searchsorted(acked.highest, sent.end)
    known = (at < len(acked.highest)) & (sent.kind == MapKind.NEW) & ~_sent_again(side)
    arrival = acked.time[at[known]]
    first = sent.of(known)
    after = arrival >= first.time
    first, arrival = first.of(after), arrival[after]
    milliseconds = (arrival - first.time) / 1e6
    x = {Product.DATA_RTT: arrival, Product.DATA_RTT_SENT: first.time, Product.DATA_RTT_SEQUENCE: first.start}[product]
    order = np.argsort(x, kind="stable")
    series = [
        Series(subflow_name(number, Role.RTT), Role.RTT, Shape.POINTS, number, x[order][at], milliseconds[order][at])
        for number, at in by_subflow(side.connection, first.subflow[order])
    ]
    title = {
        Product.DATA_RTT: "round trip time by data acknowledgements",
        Product.DATA_RTT_SENT: "round trip time by when the data were sent",
        Product.DATA_RTT_SEQUENCE: "round trip time by position of the data",
    }[product]
    axis = OCTETS if product is Product.DATA_RTT_SEQUENCE else TIME
    return plot_of(side, product, title, RTT, series, x=axis)


def _sent_again(side: Side) -> NDArray[np.bool_]:
    """Which mappings overlap data that some later segment carried again."""
    sent = side.sent
    again = sent.of(sent.kind != MapKind.NEW)
    order = np.argsort(again.start, kind="stable")
    starts, ends = again.start[order], np.maximum.accumulate(again.end[order]) if len(order) else again.end
    before_end = np.searchsorted(starts, sent.end) - 1
    overlaps = before_end >= 0
    overlaps[overlaps] = ends[before_end[overlaps]] > sent.start[overlaps]
    return overlaps


def events(connection: Connection) -> Plot:
    """What happened when, each kind in a lane of its own: addresses, priorities, subflows, the end of the data."""
    lanes = tuple(kind for kind in EventKind if any(event.kind is kind for event in connection.events))
    series = []
    for subflow in sorted({event.subflow for event in connection.events}):
        told = sorted((event for event in connection.events if event.subflow == subflow), key=lambda one: one.time)
        x = np.array([nanoseconds(event.time) for event in told], dtype=np.int64)
        y = np.array([lanes.index(event.kind) for event in told], dtype=np.int64)
        labels = tuple(_told(event) for event in told)
        series.append(Series(subflow_name(subflow, Role.EVENT), Role.EVENT, Shape.POINTS, subflow, x, y, labels=labels))
    start = nanoseconds(connection.started)
    title = f"connection {connection.id}: events"
    lane_axis = Axis("event", "event", lanes)
    return Plot(Product.EVENTS, connection.id, None, title, TIME, lane_axis, start, tuple(series))


def _told(event: Event) -> str:
    sender = "client" if event.direction is Direction.C2S else "server"
    return f"{event.kind} from the {sender}" + (f": {event.detail}" if event.detail else "")


def moments(connection: Connection) -> tuple[Moment, ...]:
    """The addresses that were added and removed."""
    return tuple(Moment(nanoseconds(one.time), one.kind, _told(one)) for one in connection.events if one.kind in MARKED)


def plot_of(side: Side, product: Product, title: str, y: Axis, series: list[Series], *, x: Axis = TIME) -> Plot:
    """A plot of one direction, of those series that have values."""
    ends = "client to server" if side.direction is Direction.C2S else "server to client"
    connection = side.connection
    return Plot(
        product=product,
        connection=connection.id,
        direction=side.direction,
        title=f"connection {connection.id}, {ends}: {title}",
        x=x,
        y=y,
        start=side.start,
        series=tuple(one for one in series if len(one)),
        moments=moments(connection) if x is TIME else (),
    )


def by_subflow(
    connection: Connection, subflow: Int64, chosen: NDArray[np.bool_] | None = None
) -> Iterator[tuple[int, Int64]]:
    """Each subflow's number, with the indices of what is its own (and `chosen`)."""
    for one in connection.subflows:
        mine = subflow == one.id
        yield one.id, np.flatnonzero(mine if chosen is None else mine & chosen)


def subflow_name(number: int, role: Role) -> str:
    """Such as `subflow 1, data ack`."""
    return f"subflow {number}, {role}"


def sides(connection: Connection) -> tuple[Side, ...]:
    """The directions in which data went, or at least were acknowledged."""
    return tuple(side for side in (side_of(connection, direction) for direction in Direction) if side)
