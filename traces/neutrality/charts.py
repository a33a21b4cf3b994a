"""The plots of a judged target, as Plotly takes them: plain data, with no text in it that comes from a network."""

from __future__ import annotations

from typing import Any

from traces.neutrality.judge import JudgedTarget
from traces.neutrality.model import Arm
from traces.neutrality.profile import INITIAL_TTLS, Profile
from traces.neutrality.speed import Speed
from traces.products.style import GRID, SUBFLOWS, TEXT

COLOURS = dict(zip(Arm, SUBFLOWS, strict=False))
# Arms that fare alike lie on each other: the earlier ones show around the later ones.
SIZES = {Arm.PLAIN: 15, Arm.V1: 12, Arm.V0: 9, Arm.DUMMY: 6}
SYMBOLS = {Arm.PLAIN: "circle", Arm.V1: "square", Arm.V0: "diamond", Arm.DUMMY: "cross"}

Chart = dict[str, Any]


def charts(target: JudgedTarget) -> dict[str, Chart]:
    """By name: those for which there is something to draw."""
    found: dict[str, Chart] = {}
    if target.arms:
        found["reach"] = _reach(target.arms)
    if any(arm.replies for arm in target.arms.values()):
        found["reply-ttl"] = _reply_ttls(target.arms)
    if target.speed:
        found["rates"] = _rates(target.speed)
    return found


def _reach(arms: dict[Arm, Profile]) -> Chart:
    """A line for each arm."""
    traces = [
        {
            **_marks(arm),
            "mode": "lines+markers",
            "x": [sweep.ttl for sweep in profile.sweeps],
            "y": [sweep.answered / sweep.sent for sweep in profile.sweeps],
            "text": [f"{sweep.answered} of {sweep.sent}" for sweep in profile.sweeps],
        }
        for arm, profile in arms.items()
    ]
    layout = _layout("SYNs answered with a SYN-ACK", "TTL on the uplink", "share")
    layout["yaxis"] |= {"range": [-0.05, 1.05], "tickformat": ".0%"}
    # Only the TTLs that were tried: most are small, and the last is 64.
    layout["xaxis"] |= {"type": "category"}
    return {"data": traces, "layout": layout}


def _reply_ttls(arms: dict[Arm, Profile]) -> Chart:
    """A mark for each TTL that an arm was answered with, the larger the more often it was."""
    traces = []
    for arm, profile in arms.items():
        marks = _marks(arm)
        marks["marker"] |= {"size": [8 + 16 * count / profile.answered for _, count in profile.reply_ttls]}
        traces.append({
            **marks,
            "mode": "markers+text",
            "textposition": "top center",
            "cliponaxis": False,
            "x": [arm.value] * len(profile.reply_ttls),
            "y": [ttl for ttl, _ in profile.reply_ttls],
            "text": [f"{ttl} ({count} times)" for ttl, count in profile.reply_ttls],
        })  # fmt: skip
    layout = _layout("TTL of the SYN-ACKs on the uplink", "SYN", "TTL")
    layout["yaxis"] |= {"range": [0, 270], "tickvals": [0, *INITIAL_TTLS]}
    return {"data": traces, "layout": layout}


def _rates(speed: Speed) -> Chart:
    """Two marks for each pair of transfers."""
    numbers = list(range(1, speed.pairs + 1))
    named = ((Arm.PLAIN, "plain TCP", speed.plain_rates), (Arm.V1, "MPTCP", speed.mptcp_rates))
    traces = [
        {**_marks(arm), "name": name, "mode": "lines+markers", "x": numbers, "y": [rate / 1e6 for rate in rates]}
        for arm, name, rates in named
    ]
    layout = _layout("Paired transfers", "pair", "MB/s")
    layout["yaxis"] |= {"rangemode": "tozero"}
    layout["xaxis"] |= {"dtick": max(1, speed.pairs // 10)}
    return {"data": traces, "layout": layout}


def _marks(arm: Arm) -> Chart:
    colour = COLOURS[arm]
    marker = {"color": colour, "symbol": SYMBOLS[arm], "size": SIZES[arm]}
    return {"type": "scatter", "name": arm.value, "marker": marker, "line": {"color": colour, "width": SIZES[arm] / 4}}


def _layout(title: str, x: str, y: str) -> Chart:
    axis = {"color": TEXT, "gridcolor": GRID, "zeroline": False}
    return {
        "title": {"text": title, "font": {"size": 15, "color": TEXT}, "x": 0, "xanchor": "left"},
        "font": {"color": TEXT},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "margin": {"l": 60, "r": 12, "t": 54, "b": 48},
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"},
        "xaxis": {**axis, "title": {"text": x}},
        "yaxis": {**axis, "title": {"text": y}},
    }
