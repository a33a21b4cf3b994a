"""What a person asked for: which plots, of which connections, in which forms, and where they go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.errors import BadInputError
from lab.tasking import choice, number
from traces.mptcp.model import Connection, Trace
from traces.products.goodput import Interval, read_interval
from traces.products.plot import Product

FEWEST_POINTS = 100


class Format(StrEnum):
    """Forms that products are written in."""

    PNG = "png"
    SVG = "svg"
    XPL = "xpl"
    CSV = "csv"
    HTML = "html"


OPTIONS = {
    "out": "Folder for plots and tables; without it there are none.",
    "plot": f"What to plot, separated by commas: {', '.join(Product)}. By default all.",
    "format": f"Forms of the plots, separated by commas: {', '.join(Format)}; by default html.",
    "connection": "Numbers of the connections to plot, separated by commas; by default all.",
    "interval": "What goodput is averaged over: 0.5 (seconds), 500ms, 20acks; by default 1 s, less if that is short.",
    "points": "At most so many values of a series are in the HTML report; CSV and xpl have all.",
    "relative": "In CSV and xpl, count times from the connection's start.",
    "replace": "Write over files in the folder.",
}
"""How `invoke --help mptcptrace` explains what `read_wanted` reads."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Products that were asked for."""

    folder: Path
    products: tuple[Product, ...] = tuple(Product)
    formats: tuple[Format, ...] = (Format.HTML,)
    connections: tuple[int, ...] = ()
    """Empty: all."""
    interval: Interval | None = None
    """What goodput is averaged over; None: what suits each connection."""
    points: int = 4000
    """At most so many values of a series are in a report."""
    relative: bool = False
    """Whether times in files for xplot.org and in CSV count from the connection's start."""
    replace: bool = False
    """Whether files of that name may be written over."""
    files: tuple[str, ...] = ()
    """Names of the captures, for whoever reads the report."""

    def chosen(self, trace: Trace) -> tuple[Connection, ...]:
        """The connections that were asked for; `BadInputError` when there is none of that number."""
        known = {one.id: one for one in trace.connections}
        for wanted in self.connections:
            if wanted not in known:
                there = ", ".join(map(str, list(known)[:10])) or "none"
                raise BadInputError(f"there is no MPTCP connection {wanted}", hint=f"connections there are: {there}")
        return tuple(known[wanted] for wanted in self.connections) or trace.connections


def read_wanted(
    out: str, *, plot: str, form: str, connection: str, interval: str, points: str, relative: bool, replace: bool,
    files: Sequence[Path] = (),
) -> Wanted | None:  # fmt: skip
    """The options of `invoke mptcptrace` that are about products; None when none are wanted."""
    if not out:
        if plot or form or connection or replace or relative:
            raise BadInputError("there is no folder for the plots", hint="name one: --out FOLDER")
        return None
    most = number(points, "--points")
    if most < FEWEST_POINTS:
        raise BadInputError(f"--points is {points!r}", hint=f"give {FEWEST_POINTS} or more")
    return Wanted(
        folder=_folder(Path(out), replace=replace),
        products=tuple(dict.fromkeys(choice(one, Product, "--plot") for one in _listed(plot))) or tuple(Product),
        formats=tuple(dict.fromkeys(choice(one, Format, "--format") for one in _listed(form))) or (Format.HTML,),
        connections=tuple(dict.fromkeys(number(one, "--connection") for one in _listed(connection))),
        interval=read_interval(interval, "--interval") if interval else None,
        points=most,
        relative=relative,
        replace=replace,
        files=tuple(path.name for path in files),
    )


def _folder(path: Path, *, replace: bool) -> Path:
    """Looked at before captures are read, which can take long: nothing is written over unless that was asked for."""
    if path.exists() and not path.is_dir():
        raise BadInputError(f"{path} is no folder", hint="name another one with --out")
    if path.is_dir() and any(path.iterdir()) and not replace:
        raise BadInputError(
            f"{path} has files in it", hint="name another folder with --out, or write over them with --replace"
        )
    return path


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]
