"""How series look: colours that colour-blind people tell apart (most are Okabe and Ito's), and a mark for each role."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from traces.products.plot import Plot, Role, Series

SUBFLOWS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8C510A", "#332288", "#5B0F23",
)  # fmt: skip
"""Colours of the subflows 0, 1, …: of as many as Linux lets be open at a time. After the last it begins anew."""
LANE = 0.5
"""How much of the way from one lane to the next is used."""
TEXT = "#1a1a1a"
GRID = "#dddddd"


@dataclass(frozen=True, slots=True)
class Look:
    """One role's. Marks are Matplotlib's, symbols Plotly's, and signs are what stands for them in text."""

    mark: str
    symbol: str
    sign: str = ""
    colour: str = TEXT
    """Where the series belongs to no subflow: none of the subflows' colours."""
    dash: bool = False
    is_outlined: bool = False
    """Whether it is to stand out from what else its subflow has."""


LOOKS = {
    Role.DATA: Look("|", "line-ns", "❘"),
    Role.RETRANSMITTED: Look("v", "triangle-down", "▼", is_outlined=True),
    Role.REINJECTED: Look("^", "triangle-up", "▲", is_outlined=True),
    Role.REINJECTED_SAME: Look("s", "square", "■", is_outlined=True),
    Role.DATA_ACK: Look("D", "diamond-open", "◇", "#7A7A7A"),
    Role.WINDOW: Look("_", "line-ew", colour="#332288", dash=True),
    Role.SENT: Look(".", "circle"),
    Role.FLIGHT: Look(".", "circle"),
    Role.SUBFLOW_SUM: Look(".", "circle", colour="#7A7A7A", dash=True),
    Role.MOVING: Look(".", "circle"),
    Role.MEAN: Look(".", "circle", colour="#7A7A7A", dash=True),
    Role.RTT: Look(".", "circle"),
    Role.EVENT: Look("o", "circle"),
}


def colour(series: Series) -> str:
    """`#rrggbb`: the subflow's, or the role's."""
    if series.subflow is None:
        return LOOKS[series.role].colour
    return SUBFLOWS[series.subflow % len(SUBFLOWS)]


def arranged(plot: Plot) -> Plot:
    """The plot as it is drawn: nothing hides what is as important.

    Data acknowledgements are beneath the data, and in lanes each subflow has a place of its own.
    """
    if not plot.y.lanes:
        return replace(plot, series=tuple(sorted(plot.series, key=lambda one: one.role is not Role.DATA_ACK)))
    step = min(LANE / max(len(plot.series) - 1, 1), LANE / 4)
    places = (((len(plot.series) - 1) / 2 - at) * step for at in range(len(plot.series)))
    return replace(
        plot,
        series=tuple(
            replace(one, y=one.y.astype(np.float64) + place) for one, place in zip(plot.series, places, strict=True)
        ),
    )
