"""Read capture files from the command line."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.errors import MpsocksError
from lab.progress import Progress
from lab.telling import harmless, tell
from traces.mptcp.form import as_json, as_lines
from traces.neutrality.report import table_lines
from traces.neutrality.table import read_row
from traces.summary import captures, read_trace


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m traces", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="summary|table")
    summary = commands.add_parser(
        "summary", help="the MPTCP connections and subflows", description="List MPTCP connections and their subflows."
    )
    summary.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pcap, pcapng, or a folder; read together")
    summary.set_defaults(report=_summary)
    table = commands.add_parser(
        "table",
        help="the TTLs of SYN and SYN-ACK",
        description="Tell with which TTL the first connection of each file was asked for, and with which answered.",
    )
    table.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pcap or pcapng; a line for each")
    table.set_defaults(report=_table)
    for command in (summary, table):
        command.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _summary(files: Sequence[Path]) -> tuple[Any, list[str]]:
    trace = read_trace([capture for file in files for capture in captures(file)], Progress())
    return as_json(trace), list(as_lines(trace))


def _table(files: Sequence[Path]) -> tuple[Any, list[str]]:
    rows = [read_row(file.stem, file) for file in files]
    return [dataclasses.asdict(row) for row in rows], table_lines(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 done, 2 a file that cannot be read or a wrong option."""
    chosen = _parser().parse_args(arguments)
    try:
        told, lines = chosen.report(chosen.files)
    except MpsocksError as error:
        if chosen.json:
            print(json.dumps({"error": {"what": error.what, "why": error.why, "hint": error.hint}}, indent=2))
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    tell(json.dumps(told, indent=2) if chosen.json else "\n".join(map(harmless, lines)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
