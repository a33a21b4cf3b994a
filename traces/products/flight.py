"""The products that show what is on its way: flight, each subflow's share of it, and the right edge of the window."""

from __future__ import annotations

import numpy as np

from traces.products.plot import Axis, Int64, Plot, Product, Role, steps
from traces.products.series import OCTETS, plot_of, subflow_name
from traces.products.sides import Side, held, merged

SIZE = Axis("size (octets)", "octets")


def flight(side: Side) -> Plot:
    """Data sent and not acknowledged, the window that was open for them, and the sum over the subflows.

    The sum is more than the flight while the same data are on their way over several subflows, and less while data
    below the highest ones sent still wait for a subflow.
    """
    times = _times(side)
    acked = side.acked.upto(times)
    edge = held(side.acked.time, side.acked.edge, times, before=-1)
    open_ = edge >= 0
    total = sum((unacknowledged(side, one.id, times) for one in side.connection.subflows), np.zeros_like(times))
    series = [
        steps("window", Role.WINDOW, None, times[open_], np.maximum(edge - acked, 0)[open_]),
        steps("flight", Role.FLIGHT, None, times, np.maximum(_highest_sent(side, times) - acked, 0)),
        steps("sum of the subflows' flights", Role.SUBFLOW_SUM, None, times, total),
    ]
    return plot_of(side, Product.FLIGHT, "flight and window", SIZE, series)


def subflow_flight(side: Side) -> Plot:
    """Data of each subflow that are not acknowledged at the level of the connection."""
    times = _times(side)
    series = [
        steps(subflow_name(one.id, Role.FLIGHT), Role.FLIGHT, one.id, times, unacknowledged(side, one.id, times))
        for one in side.connection.subflows
        if (side.sent.subflow == one.id).any()
    ]
    return plot_of(side, Product.SUBFLOW_FLIGHT, "flight by subflow", SIZE, series)


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
    """Octets that a subflow had on their way at each of `times`, those that it sent twice counted once."""
    sent = side.sent.fresh
    sent = sent.of(sent.subflow == subflow)
    # What was acknowledged before it was sent over this subflow, too, was never awaited.
    start = np.maximum(sent.start, side.acked.upto(sent.time))
    end = np.maximum(sent.end, start)
    total = held(sent.time, np.cumsum(end - start), times, before=0)
    return total - _below(start, end, side.acked.upto(times))


def _below(starts: Int64, ends: Int64, positions: Int64) -> Int64:
    """How many octets of the ranges from `starts` to `ends` lie below each of `positions`."""
    return _excess(starts, positions) - _excess(ends, positions)


def _excess(bounds: Int64, positions: Int64) -> Int64:
    """The sum of how far each of `positions` lies above those bounds that it is above."""
    bounds = np.sort(bounds)
    sums = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(bounds)])
    count = np.searchsorted(bounds, positions)
    excess: Int64 = count * positions - sums[count]
    return excess


def _highest_sent(side: Side, times: Int64) -> Int64:
    sent = side.sent
    return held(sent.time, np.maximum.accumulate(sent.end) if len(sent.end) else sent.end, times, before=0)


def _times(side: Side) -> Int64:
    """When anything of the direction happened, each time once."""
    return merged(side.sent.time, side.acked.time)
