"""The report of a trace as one HTML file: plots to zoom into, tables, and nothing that needs a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.templates import render
from traces.mptcp.model import Connection, Subflow, Trace
from traces.mptcp.table import endpoint
from traces.page import harmless_json, plotly_script, policy
from traces.products import tables
from traces.products.plot import NANOSECONDS, Plot, Role, Series
from traces.products.products import plots
from traces.products.style import LOOKS, SUBFLOWS, arranged, colour
from traces.products.tables import Cell, Table
from traces.products.thinning import Thinned, thinned
from traces.products.wanted import Wanted

HERE = Path(__file__).parent
MOST_ROWS = 1000
"""Of a table: more are for machines."""
MOST_VALUES = 1_500_000
"""In the whole report, some 40 MB: with many connections each series is thinned the more."""
SERIES_OF_A_PLOT = 6
"""About so many, to share out the values."""
UNITS = {"_bytes_per_s": "bytes/s", "_ms": "ms", "_s": "s"}
"""Ends of the names of columns."""
SWITCHED = (Role.DATA, Role.DATA_ACK, Role.RETRANSMITTED, Role.REINJECTED, Role.REINJECTED_SAME)
"""Roles that the legend switches on and off."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A button of the legend, with a spot of the subflow's colour or the sign of a mark."""

    key: str
    title: str
    colour: str = ""
    sign: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Where a plot is drawn."""

    name: str
    title: str
    note: str


@dataclass(frozen=True, slots=True)
class Section:
    """One connection in the report."""

    id: int
    title: str
    seconds: float
    """That plots over time show at first."""
    subflows: Table
    events: Table
    switches: tuple[Switch, ...]
    plots: tuple[Drawing, ...]
    data: str
    """The plots as JSON in which no markup can stand."""


def write_report(trace: Trace, chosen: Sequence[Connection], wanted: Wanted, path: Path) -> Path:
    """Write the report of the `chosen` connections of a trace."""
    path.write_text(report(trace, chosen, wanted), encoding="utf-8")
    return path


def report(trace: Trace, chosen: Sequence[Connection], wanted: Wanted) -> str:
    """The report as HTML."""
    most = min(wanted.points, max(MOST_VALUES // (_series_count(chosen, wanted) or 1), 100))
    plotly = plotly_script()
    script = (HERE / "report.js").read_text(encoding="utf-8")
    return render(
        HERE / "report.html.j2",
        autoescape=True,
        policy=policy(plotly, script),
        title="MPTCP connections",
        summary=_summary(trace, chosen),
        files=wanted.files,
        warnings=trace.warnings,
        connections=tables.connections(chosen).without("started_s"),
        tcp_connections=tables.tcp_connections(trace),
        sections=[_section(one, wanted, most) for one in chosen],
        most_rows=MOST_ROWS,
        heading=_heading,
        shown=_shown,
        style=(HERE / "report.css").read_text(encoding="utf-8"),
        plotly=plotly,
        script=script,
    )


def _heading(column: str) -> str:
    """Of a column, as a person reads it: `goodput c2s (bytes/s)`."""
    for suffix, unit in UNITS.items():
        if column.endswith(suffix):
            return f"{column.removesuffix(suffix).replace('_', ' ')} ({unit})"
    return column.replace("_", " ")


def _shown(column: str, cell: Cell) -> str:
    """A cell as a person reads it."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.3f}" if column.endswith("_ms") else f"{cell:.6f}" if column.endswith("_s") else f"{cell:g}"
    return f"{cell:,}" if isinstance(cell, int) and "bytes" in column else str(cell)


def _series_count(chosen: Sequence[Connection], wanted: Wanted) -> int:
    return len(chosen) * len(wanted.products) * SERIES_OF_A_PLOT


def _summary(trace: Trace, chosen: Sequence[Connection]) -> str:
    shown = "" if len(chosen) == len(trace.connections) else f" ({len(chosen)} of them here)"
    return f"MPTCP connections: {len(trace.connections)}{shown}. Other TCP connections: {len(trace.tcp_connections)}."


def _section(connection: Connection, wanted: Wanted, most: int) -> Section:
    few = [thinned(arranged(plot), most) for plot in plots(connection, wanted.products, wanted.interval)]
    return Section(
        id=connection.id,
        title=_title(connection),
        seconds=round(connection.duration, 6) or 1.0,
        subflows=tables.subflows([connection], since=connection.started).without("connection"),
        events=tables.events([connection], since=connection.started).without("connection"),
        switches=_switches(connection, few),
        plots=tuple(Drawing(one.plot.name, one.plot.title, one.note) for one in few),
        data=harmless_json([_as_json(one.plot) for one in few]),
    )


def _title(connection: Connection) -> str:
    ends = _ends(connection.subflows[0]) if connection.subflows else "no subflow"
    octets = connection.bytes
    version = "of unknown version" if connection.version is None else f"version {connection.version}"
    return (
        f"Connection {connection.id}: MPTCP {version}, {ends}, {len(connection.subflows)} subflows, "
        f"{octets.c2s:,} octets to the server, {octets.s2c:,} to the client, {connection.duration:.3f} s from "
        f"{datetime.fromtimestamp(connection.started, UTC):%Y-%m-%d %H:%M:%S} UTC"
    )


def _places(subflow: Subflow) -> str:
    return f" on {', '.join(subflow.interfaces)}" if subflow.interfaces else ""


def _ends(subflow: Subflow) -> str:
    return f"{endpoint(subflow.src, subflow.sport)} → {endpoint(subflow.dst, subflow.dport)}"


def _switches(connection: Connection, few: Sequence[Thinned]) -> tuple[Switch, ...]:
    roles = {series.role for one in few for series in one.plot.series}
    subflows = tuple(
        Switch(f"subflow {one.id}", f"Subflow {one.id}{_places(one)}: {_ends(one)}", _colour(one.id))
        for one in connection.subflows
    )
    return subflows + tuple(Switch(role, role, sign=LOOKS[role].sign) for role in SWITCHED if role in roles)


def _colour(subflow: int) -> str:
    return SUBFLOWS[subflow % len(SUBFLOWS)]


def _as_json(plot: Plot) -> dict[str, Any]:
    """What report.js draws. Times are seconds since the start."""
    return {
        "x": "time since the start (s)" if plot.over_time else plot.x.title,
        "y": plot.y.title,
        "lanes": list(plot.y.lanes),
        "large": plot.y.large,
        "overTime": plot.over_time,
        "moments": [[(one.time - plot.start) / NANOSECONDS, one.kind, one.text] for one in plot.moments],
        "series": [_series(plot, one) for one in plot.series],
    }


def _series(plot: Plot, series: Series) -> dict[str, Any]:
    look = LOOKS[series.role]
    x = ((series.x - plot.start) / NANOSECONDS).round(7) if plot.over_time else series.x
    return {
        "name": series.name,
        "role": series.role,
        "shape": series.shape,
        "subflow": series.subflow,
        "colour": colour(series),
        "symbol": look.symbol,
        "dash": look.dash,
        "outlined": look.is_outlined,
        "x": x.tolist(),
        "y": series.y.round(6).tolist(),
        "top": [] if series.top is None else series.top.tolist(),
        "labels": list(series.labels),
    }
