"""Read capture files from the command line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.errors import MpsocksError
from lab.progress import Progress
from traces.mptcp.form import as_json, as_lines
from traces.summary import read_trace


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m traces", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="summary")
    summary = commands.add_parser(
        "summary", help="the MPTCP connections and subflows", description="List MPTCP connections and their subflows."
    )
    summary.add_argument("--json", action="store_true", help="print the report as JSON")
    summary.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pcap or pcapng; all are read together")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 done, 2 a file that cannot be read or a wrong option."""
    chosen = _parser().parse_args(arguments)
    try:
        trace = read_trace(chosen.files, Progress())
    except MpsocksError as error:
        if chosen.json:
            print(json.dumps({"error": {"what": error.what, "why": error.why, "hint": error.hint}}, indent=2))
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if chosen.json:
        print(json.dumps(as_json(trace), indent=2))
    else:
        print("\n".join(as_lines(trace)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
