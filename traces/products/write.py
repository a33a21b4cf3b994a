"""Writing products into a folder: plots by connection, direction and product, tables, and the report."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.errors import BadInputError, MpsocksError
from lab.progress import Progress, Stage
from traces.mptcp.model import Connection, Trace
from traces.products import tables
from traces.products.csv_files import write_plot, write_table
from traces.products.plot import Plot
from traces.products.products import plots
from traces.products.wanted import Format, Wanted
from traces.products.xplot import xpl

REPORT = "report.html"


def write_products(trace: Trace, wanted: Wanted, progress: Progress) -> list[Path]:
    """Write all that was asked for; the paths of the files.

    Raises `BadInputError` when the folder has files already, `MpsocksError` when it cannot be written.
    """
    chosen = wanted.chosen(trace)
    try:
        _make(wanted)
        with progress.stage(f"writing {', '.join(wanted.formats)} to {wanted.folder}") as stage:
            return list(_write(trace, chosen, wanted, stage))
    except OSError as error:
        raise MpsocksError(
            f"cannot write {error.filename or wanted.folder}", why=error.strerror or str(error),
            hint="name a folder that can be written with --out",
        ) from error  # fmt: skip


def _make(wanted: Wanted) -> None:
    """The folder; one that holds something is touched only if that was asked for."""
    if wanted.folder.is_dir() and any(wanted.folder.iterdir()) and not wanted.replace:
        raise BadInputError(
            f"{wanted.folder} has files in it", hint="name another folder with --out, or write over them with --replace"
        )
    wanted.folder.mkdir(parents=True, exist_ok=True)


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
        file.writelines(f"{line}\n" for line in xpl(plot, relative=wanted.relative))
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
