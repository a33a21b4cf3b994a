"""The smallest connection that has one of everything, and its plots."""

from __future__ import annotations

from typing import Any

from tests.traces.products.simulation import S2C, Ack, Map, connection, event
from traces.mptcp.model import Connection, EventKind, MapKind
from traces.products.goodput import Interval
from traces.products.plot import Plot, Product
from traces.products.products import plots

MAPS: list[Map] = [
    (0.25, 0, S2C, 0, 100, MapKind.NEW),
    (1, 1, S2C, 100, 50, MapKind.NEW),
    (2, 0, S2C, 100, 50, MapKind.REINJECTED),
    (3, 0, S2C, 0, 100, MapKind.RETRANSMITTED),
    (4, 1, S2C, 150, 20, MapKind.NEW),
]
ACKS: list[Ack] = [(10, 0, S2C, 100, 1000), (11.5, 1, S2C, 170, 1000)]
TOLD = (event(1, EventKind.ADD_ADDR, detail="id 2, 192.0.2.1"), event(12, EventKind.DATA_FIN))


def tiny(**fields: Any) -> Connection:
    return connection(MAPS, ACKS, [(10, 0, S2C, 0.00975)], events=TOLD, **fields)


def tiny_plot(product: Product) -> Plot:
    (plot,) = plots(tiny(), [product], Interval(acks=2))
    return plot
