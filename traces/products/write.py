"""Writing products into a folder: plots by connection, direction and product, tables, and the report."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.context import Lab
from lab.errors import MpsocksError
from lab.progress import Stage
from traces.mptcp.model import Connection, Trace
from traces.products import tables
from traces.products.csv_files import write_plot, write_table
from traces.products.plot import Plot
from traces.products.products import plots
from traces.products.wanted import Format, Wanted
from traces.products.xplot import xpl

REPORT = "report.html"
REPORT_SUFFIX = ".html"


@dataclass(frozen=True, slots=True)
class Written:
    """The files that came of it."""

    paths: tuple[Path, ...] = ()
    note: str = ""
    """Why there are no plots, where some were wanted."""

    def as_json(self) -> dict[str, list[str]]:
        return {"files": [str(path) for path in self.paths]}

    def lines(self) -> Iterator[str]:
        """One for each kind of file, and the report's own."""
        for suffix in sorted({path.suffix for path in self.paths} - {REPORT_SUFFIX}):
            paths = [path for path in self.paths if path.suffix == suffix]
            yield f"{len(paths)} {suffix.removeprefix('.')} files: {paths[0].parent}/*{suffix}"
        yield from (f"report: {path}" for path in self.paths if path.suffix == REPORT_SUFFIX)
        if self.note:
            yield self.note


def write_products(lab: Lab, trace: Trace, wanted: Wanted | None) -> Written:
    """Write all that was asked for.

    Raises `BadInputError` for a connection that is not there, `MpsocksError` when the folder cannot be written.
    """
    if wanted is None:
        return Written()
    chosen = wanted.chosen(trace)
    if lab.host.dry:
        print(f"# would write {', '.join(wanted.formats)} of {len(chosen)} connections to {wanted.folder}")
        return Written()
    try:
        wanted.folder.mkdir(parents=True, exist_ok=True)
        with lab.progress.stage(f"writing {', '.join(wanted.formats)} to {wanted.folder}") as stage:
            note = "" if chosen else "no plots: there is no MPTCP connection"
            return Written(tuple(_write(trace, chosen, wanted, stage)), note)
    except OSError as error:
        raise MpsocksError(
            f"cannot write {error.filename or wanted.folder}", why=error.strerror or str(error),
            hint="name a folder that can be written with --out",
        ) from error  # fmt: skip


def _write(trace: Trace, chosen: tuple[Connection, ...], wanted: Wanted, stage: Stage) -> Iterator[Path]:
    forms = [form for form in wanted.formats if form is not Format.HTML]
    for at, connection in enumerate(chosen):
        for plot in plots(connection, wanted.products, wanted.interval) if forms else ():
            stage.tell(plot.name, at, len(chosen))
            for form in forms:
                yield _WRITERS[form](plot, wanted, wanted.folder / f"{plot.name}.{form}")
    if Format.CSV in forms:
        yield from _tables(trace, chosen, wanted.folder)
    if Format.HTML in wanted.formats:
        from traces.products.report import write_report

        stage.tell(REPORT)
        yield write_report(trace, chosen, wanted, wanted.folder / REPORT)


def _picture(plot: Plot, _wanted: Wanted, path: Path) -> Path:
    # Matplotlib takes half a second to import: only who draws pictures waits for it.
    from traces.products.picture import draw

    picture = io.BytesIO()
    draw(plot, picture, path.suffix.removeprefix("."))
    path.write_bytes(picture.getvalue())
    return path


def _xpl(plot: Plot, wanted: Wanted, path: Path) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(xpl(plot, relative=wanted.relative))
    return path


def _csv(plot: Plot, wanted: Wanted, path: Path) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        write_plot(plot, file, relative=wanted.relative)
    return path


_WRITERS: dict[Format, Callable[[Plot, Wanted, Path], Path]] = {
    Format.PNG: _picture,
    Format.SVG: _picture,
    Format.XPL: _xpl,
    Format.CSV: _csv,
}


def _tables(trace: Trace, chosen: tuple[Connection, ...], folder: Path) -> Iterator[Path]:
    for table in (
        tables.connections(chosen), tables.subflows(chosen), tables.events(chosen), tables.tcp_connections(trace),
    ):  # fmt: skip
        path = folder / f"{table.name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            write_table(table, file)
        yield path
