"""Measures the origin's table: real connections of the guest's kernel, each captured on the uplink under its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.context import Lab
from lab.steps.capture import Capture
from traces.capturing.capture import SNAP_LENGTH, running
from traces.neutrality.measuring import START_SECONDS, Aim, Tell, download_options
from traces.neutrality.model import TableRow
from traces.neutrality.table import LINES, Line, read_row
from traces.neutrality.vantage import SCOPE, Vantage, leaving_with

SHORT_OCTETS = 1_000
SLOWEST = 100_000
"""Octets per second, below which a large download is given up."""
PATIENCE = 40.0
"""Seconds for a server to answer: longer than five SYNs take with any kernel."""
BUFFER_KIB = 16_384
"""For a capture of fast downloads on a machine that is busy with them."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """An uplink of the lab host, and the guest's interface behind it."""

    lab: Lab
    name: str
    vantage: Vantage
    folder: Path
    """Where its captures are kept."""


def measure_table(uplink: Uplink, short: Aim, bulk: Aim, octets: int, tell: Tell) -> tuple[TableRow, ...]:
    """All lines: the short ones toward `short`, the downloads of `octets` from `bulk`. The vantage must be ready."""
    uplink.lab.host.change("mkdir", "-p", "-m", "0700", uplink.folder)
    rows = []
    for line in LINES:
        tell(line.name)
        aim, wanted = (bulk, octets) if line.is_bulk else (short, SHORT_OCTETS)
        capture = _measure_line(uplink, line, aim, wanted)
        if not uplink.lab.host.dry:
            rows.append(read_row(line.name, capture))
    return tuple(rows)


def _measure_line(uplink: Uplink, line: Line, aim: Aim, octets: int) -> Path:
    expression = f"tcp and host {aim.address} and port {aim.port}"
    step = Capture(uplink.name, str(uplink.folder / f"{line.name}.pcap"), expression, SNAP_LENGTH, BUFFER_KIB)
    seconds = PATIENCE + octets / SLOWEST
    options = {**download_options(aim, octets, seconds, PATIENCE), "mptcp": line.multipath}
    uplink.lab.host.change("rm", "-f", step.path, step.log)
    leaving = leaving_with(line.ttl, aim.address, aim.port, uplink.vantage)
    with leaving, running(uplink.lab, [step], f"{SCOPE}:{uplink.name}"):
        uplink.vantage.probe("fetch", options, START_SECONDS + seconds)
    return Path(step.path)
