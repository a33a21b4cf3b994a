"""Every plot of a connection that was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from traces.mptcp.model import Connection
from traces.products.flight import flight, right_edge, subflow_flight
from traces.products.goodput import Interval, goodput
from traces.products.plot import Plot, Product
from traces.products.series import ack_size, data_rtt, events, rtt, sequence, sides
from traces.products.sides import Side

OF_A_SIDE = {
    Product.SEQUENCE: sequence,
    Product.ACK_SIZE: ack_size,
    Product.FLIGHT: flight,
    Product.SUBFLOW_FLIGHT: subflow_flight,
    Product.RIGHT_EDGE: right_edge,
    Product.RTT: rtt,
}


def plots(connection: Connection, products: Sequence[Product], interval: Interval | None) -> Iterator[Plot]:
    """Plots that have something to show, direction by direction, in the order of `products`.

    Goodput is averaged over `interval`, or what suits the connection.
    """
    for side in sides(connection):
        for product in products:
            if product is not Product.EVENTS:
                plot = _of_side(side, product, interval)
                if plot.series:
                    yield plot
    if Product.EVENTS in products and connection.events:
        yield events(connection)


def _of_side(side: Side, product: Product, interval: Interval | None) -> Plot:
    if product is Product.GOODPUT:
        return goodput(side, interval)
    if product in OF_A_SIDE:
        return OF_A_SIDE[product](side)
    return data_rtt(side, product)
