"""MPTCP options that cannot be understood: told of, and passed over."""

from __future__ import annotations

from collections.abc import Iterator

from traces.mptcp.flows import Flows
from traces.mptcp.options import LENGTHS, Option, Subtype


def malformed_options(flows: Flows) -> list[str]:
    """One warning for each sort, with how many there are and where the first is."""
    found: dict[str, list[int]] = {}
    for what, row in _all(flows):
        found.setdefault(what, []).append(row)
    return [f"{what}{_where(flows, min(rows), len(rows) - 1)}" for what, rows in found.items()]


def _all(flows: Flows) -> Iterator[tuple[str, int]]:
    table = flows.table
    for row in table.malformed:
        yield "an MPTCP option DSS has a length that does not fit its flags", int(row)
    for option in table.options:
        if not option.is_well_formed:
            yield _fault(option), option.row


def _fault(option: Option) -> str:
    if option.subtype not in LENGTHS:
        return f"an MPTCP option has the unknown subtype {option.subtype}"
    return f"an MPTCP option {Subtype(option.subtype).name} has the impossible length {len(option.octets)}"


def _where(flows: Flows, row: int, others: int) -> str:
    flow, since = flows.flows[flows.table.flow[row]], (int(flows.table.time[row]) - int(flows.table.time[0])) / 1e9
    more = f", and {others} more" if others else ""
    return f": {flow}, {since:.6f} s after the first segment{more}"
