"""How series look: colours that colour-blind people tell apart (Okabe and Ito's), and a mark for each role."""

from __future__ import annotations

from dataclasses import dataclass

from traces.products.plot import Role, Series

SUBFLOWS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8C510A")
"""Colours of the subflows 0, 1, …; after the last it begins anew, with other marks."""
TEXT = "#1a1a1a"
GRID = "#dddddd"


@dataclass(frozen=True, slots=True)
class Look:
    """One role's. Marks are Matplotlib's, symbols Plotly's."""

    mark: str
    symbol: str
    colour: str = TEXT
    """Where the series belongs to no subflow: none of the subflows' colours."""
    dash: bool = False


LOOKS = {
    Role.DATA: Look("|", "line-ns"),
    Role.RETRANSMITTED: Look("v", "triangle-down"),
    Role.REINJECTED: Look("^", "triangle-up"),
    Role.REINJECTED_SAME: Look("s", "square"),
    Role.DATA_ACK: Look("D", "diamond-open", "#7A7A7A"),
    Role.WINDOW: Look("_", "line-ew", "#332288", dash=True),
    Role.SENT: Look(".", "circle"),
    Role.FLIGHT: Look(".", "circle"),
    Role.SUBFLOW_SUM: Look(".", "circle", "#7A7A7A", dash=True),
    Role.MOVING: Look(".", "circle"),
    Role.MEAN: Look(".", "circle", "#7A7A7A", dash=True),
    Role.RTT: Look(".", "circle"),
    Role.EVENT: Look("o", "circle"),
}


def colour(series: Series) -> str:
    """`#rrggbb`: the subflow's, or the role's."""
    if series.subflow is None:
        return LOOKS[series.role].colour
    return SUBFLOWS[series.subflow % len(SUBFLOWS)]
