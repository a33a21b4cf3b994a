"""The products that show what is on its way: flight, each subflow's share of it, and the right edge of the window."""

from __future__ import annotations

import numpy as np

from traces.mptcp.model import NEVER, MapKind
from traces.products.plot import Axis, Int64, Plot, Product, Role, steps
from traces.products.series import OCTETS, plot_of, subflow_name
from traces.products.sides import Side, held, merged

SIZE = Axis("size (octets)", "octets")


def flight(side: Side) -> Plot:
    """Data sent and not acknowledged, the window that was open for them, and the sum of what TCP has on its way.

    The sum is less than the flight by what TCP has delivered and data acknowledgements do not cover, since something
    below is missing; it is more while the same data are on their way over several subflows.
    """
    times = _times(side)
    acked = side.acked.upto(times)
    edge = held(side.acked.time, side.acked.edge, times, before=-1)
    open_ = edge >= 0
    total = sum((unacknowledged(side, one.id, times) for one in side.connection.subflows), np.zeros_like(times))
    series = [
        steps("window", Role.WINDOW, None, times[open_], np.maximum(edge - acked, 0)[open_]),
        steps("flight", Role.FLIGHT, None, times, np.maximum(_highest_sent(side, times) - acked, 0)),
        steps("sum of the subflows' TCP flights", Role.SUBFLOW_SUM, None, times, total),
    ]
    return plot_of(side, Product.FLIGHT, "flight and window", SIZE, series)


def subflow_flight(side: Side) -> Plot:
    """Data that each subflow has sent and its TCP acknowledgements do not cover."""
    times = _times(side)
    series = [
        steps(subflow_name(one.id, Role.FLIGHT), Role.FLIGHT, one.id, times, unacknowledged(side, one.id, times))
        for one in side.connection.subflows
        if (side.sent.subflow == one.id).any()
    ]
    return plot_of(side, Product.SUBFLOW_FLIGHT, "TCP flight by subflow", SIZE, series)


def right_edge(side: Side) -> Plot:
    """How far data may be sent (data ack plus window), how far they were, and how far they are acknowledged."""
    acked, sent = side.acked, side.sent
    known = acked.edge >= 0
    highest = np.maximum.accumulate(sent.end) if len(sent.end) else sent.end
    series = [
        steps("right edge", Role.WINDOW, None, acked.time[known], acked.edge[known]),
        steps("highest sent", Role.SENT, None, sent.time, highest),
        steps("acknowledged", Role.DATA_ACK, None, acked.time, acked.highest),
    ]
    return plot_of(side, Product.RIGHT_EDGE, "right edge", OCTETS, series)


def window_limited(side: Side) -> float | None:
    """The part of the time from the first data to the last in which the window had no room for the largest mapping.

    None where no window is known, or no time passes.
    """
    times = _times(side)
    times = times[times <= side.sent.time[-1]] if len(side.sent.time) else times[:0]
    edge = held(side.acked.time, side.acked.edge, times, before=-1)
    passed = np.diff(times)[edge[:-1] >= 0]
    if not passed.sum():
        return None
    room = edge - _highest_sent(side, times)
    full = room < (side.sent.end - side.sent.start).max()
    return float(passed[full[:-1][edge[:-1] >= 0]].sum() / passed.sum())


def unacknowledged(side: Side, subflow: int, times: Int64) -> Int64:
    """Octets that TCP had on their way over a subflow at each of `times`, those that it sent twice counted once."""
    sent = side.sent.of((side.sent.subflow == subflow) & (side.sent.kind != MapKind.RETRANSMITTED))
    length = sent.end - sent.start
    # Where the capture missed the first of two copies, the second may come after the acknowledgement.
    acked = np.maximum(sent.acked, sent.time)
    order = np.argsort(acked, kind="stable")
    gone = held(acked[order], np.cumsum(length[order]), times, before=0)
    return held(sent.time, np.cumsum(length), times, before=0) - gone


def _highest_sent(side: Side, times: Int64) -> Int64:
    sent = side.sent
    return held(sent.time, np.maximum.accumulate(sent.end) if len(sent.end) else sent.end, times, before=0)


def _times(side: Side) -> Int64:
    """When anything of the direction happened, each time once."""
    return merged(side.sent.time, side.acked.time, np.sort(side.sent.acked[side.sent.acked != NEVER]))
