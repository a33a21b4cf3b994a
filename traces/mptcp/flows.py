"""TCP connections: which segments belong to one, who opened it, and where its sequence numbers begin."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from traces.mptcp.copies import first_copies
from traces.mptcp.numbering import grouped, positions
from traces.mptcp.options import WINDOW_SCALE, Dss, Option, Subtype, find_option
from traces.mptcp.recut import find_recut
from traces.mptcp.table import ACK, BLOCK, FIN, RST, SYN, Captured, Endpoint, Table
from traces.reading.segments import Int32, Int64

NEAR = 1 << 24
"""Sequence numbers closer than this belong to one connection, when a segment comes before the SYN."""

RECUT = "two places saw its data in different segments; those of one count"

MOST_IN_SYN = 1 << 16
"""Octets of data in a SYN are fewer."""


@dataclass(slots=True)
class Flow:
    """One TCP connection. Of each pair of values the first is that of who opened it."""

    source: Endpoint
    destination: Endpoint
    opener: int
    """Which of the table's endpoints opened it: 0 or 1."""
    opener_is_known: bool = False
    isn: list[int | None] = field(default_factory=lambda: [None, None])
    scale: list[int | None] = field(default_factory=lambda: [None, None])
    """Window scale (RFC 7323); None when there was no SYN to see it in."""
    syns: list[int] = field(default_factory=list)
    """Rows of the SYNs."""
    syn_acks: list[int] = field(default_factory=list)
    opening: int = 0
    """Octets of data in the SYN that the SYN-ACK acknowledges (RFC 7413). MPTCP counts from behind them, as positions
    do (RFC 8684 appendix B)."""

    @property
    def begins(self) -> tuple[int | None, int | None]:
        """The sequence numbers that have position 0."""
        return None if self.isn[0] is None else (self.isn[0] + self.opening) & 0xFFFF_FFFF, self.isn[1]

    def __str__(self) -> str:
        return f"{self.source} > {self.destination}"


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """The table with its segments given to TCP connections. Arrays have one entry for each segment."""

    table: Table
    """`flow` counts `flows`."""
    flows: tuple[Flow, ...]
    position: Int64
    """Sequence number since the initial one (which has 0), widened beyond 32 bits."""
    acknowledged: Int64
    """Acknowledgement number, likewise; -1 without the flag ACK."""
    seen_on: tuple[Int64, ...]
    """Taps of each flow, also those where copies were seen."""
    warnings: tuple[str, ...]


def find_flows(table: Captured) -> tuple[Flows, Dss]:
    """Give each segment its TCP connection; also what Data Sequence Signals the segments carry."""
    starts, warnings = _starts(table)
    flow, flows = _numbered(table, starts)
    if flows:
        table.direction = table.direction ^ np.array([one.opener for one in flows], np.uint8)[flow]
    table.flow = flow
    seen_on = _taps(table, len(flows))
    warnings += [f"{flows[number]}: {RECUT}" for number in _drop_repeated(table)]
    _read_syns(table, flows)
    _read_third(table, flows)
    _read_openings(table, flows)
    warnings += _missing_handshakes(table, flows)
    position, acknowledged = positions(table, [number for one in flows for number in one.begins])
    return Flows(table.as_table(), tuple(flows), position, acknowledged, seen_on, tuple(warnings)), table.dss


def _taps(table: Captured, count: int) -> tuple[Int64, ...]:
    """On which taps each flow was seen."""
    blocks = [slice(begin, begin + BLOCK) for begin in range(0, len(table), BLOCK)]
    of_each = [np.unique(table.flow[block].astype(np.int64) << 32 | table.tap[block]) for block in blocks]
    pairs = np.unique(np.concatenate([np.zeros(0, np.int64), *of_each]))
    return tuple(np.split(pairs & 0xFFFF_FFFF, np.searchsorted(pairs >> 32, np.arange(1, count))))


def _drop_repeated(table: Captured) -> list[int]:
    """Leave each packet once, and return the flows of which places saw data in different segments."""
    counts = first_copies(table)
    recut = find_recut(table, counts)
    counts[recut] = False
    found = sorted({int(flow) for flow in table.flow[recut]})
    if not counts.all():
        table.keep(np.flatnonzero(counts))
    return found


def _missing_handshakes(table: Table, flows: list[Flow]) -> list[str]:
    """What cannot be known for lack of a SYN or SYN-ACK, of those connections that have more segments than SYNs."""
    later = np.bincount(table.flow[table.flags & (SYN | RST) == 0], minlength=len(flows))
    missing = []
    for number in np.flatnonzero(later):
        flow = flows[number]
        names = [name for name, rows in (("SYN", flow.syns), ("SYN-ACK", flow.syn_acks)) if not rows]
        if names:
            guessed = "" if flow.opener_is_known else ", so that who opened it is not known"
            missing.append(f"{flow}: {' and '.join(names)} not in the capture{guessed}")
    return missing


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a TCP connection begins among the segments of its endpoints."""

    row: int
    isn: int
    opener: int


def _starts(table: Captured) -> tuple[dict[int, list[_Start]], list[str]]:
    """By pair of endpoints, the connections between them as SYNs and SYN-ACKs show them."""
    starts: dict[int, list[_Start]] = {}
    seen: set[tuple[int, int, int]] = set()
    warnings = []
    for row in np.flatnonzero((table.flags & (SYN | RST)) == SYN):
        is_answer, sender = bool(table.flags[row] & ACK), int(table.direction[row])
        isn = (int(table.acknowledgement[row]) - 1) & 0xFFFF_FFFF if is_answer else int(table.sequence[row])
        pair, opener = int(table.flow[row]), 1 - sender if is_answer else sender
        known = starts.setdefault(pair, [])
        if (pair, isn, opener) in seen or (is_answer and known and _acknowledges_data(known[-1], isn)):
            continue
        seen.add((pair, isn, opener))
        known.append(_Start(int(row), isn, opener))
        if len(known) > 1:
            one, other = table.pairs[pair]
            warnings.append(f"{one} and {other} are used again, for connection {len(known)} between them")
    return starts, warnings


def _acknowledges_data(start: _Start, isn: int) -> bool:
    """Whether a SYN-ACK that seems to answer `isn` answers this SYN and data in it (TCP Fast Open, RFC 7413)."""
    return (isn - start.isn) & 0xFFFF_FFFF < MOST_IN_SYN


def _numbered(table: Captured, starts: dict[int, list[_Start]]) -> tuple[Int32, list[Flow]]:
    """The connection of each segment, counted in the order in which they begin."""
    order, bounds = grouped(table.flow, len(table.pairs))
    flow = np.empty(len(table), np.int32)
    hints = _openers_by_options(table)
    flows: list[Flow] = []
    for pair, ends in enumerate(table.pairs):
        rows = order[bounds[pair] : bounds[pair + 1]]
        if not len(rows):
            continue
        known = starts.get(pair, [])
        if not known or not _fits(table, int(rows[0]), known[0]):
            opener = hints.get(pair, _opener_by_port(ends))
            flow[rows] = len(flows)
            flows.append(Flow(*_ordered(ends, opener), opener, opener_is_known=pair in hints))
        begins = np.searchsorted(rows, [start.row for start in known])
        if known and _fits(table, int(rows[0]), known[0]):
            begins[0] = 0
        for start, some in zip(known, np.split(rows, begins)[1:], strict=True):
            flow[some] = len(flows)
            flows.append(Flow(*_ordered(ends, start.opener), start.opener, opener_is_known=True, isn=[start.isn, None]))
    return _in_order_of_time(flow, flows)


def _in_order_of_time(flow: Int32, flows: list[Flow]) -> tuple[Int32, list[Flow]]:
    numbers, first = np.unique(flow, return_index=True)
    order = numbers[np.argsort(first)]
    place = np.zeros(len(flows), np.int32)
    place[order] = np.arange(len(order))
    return place[flow], [flows[number] for number in order]


def _fits(table: Captured, row: int, start: _Start) -> bool:
    """Whether a segment, though it may come before the SYN, is of the connection that begins there."""
    if row >= start.row:
        return True
    sent_by_opener = table.direction[row] == start.opener
    number = table.sequence[row] if sent_by_opener else table.acknowledgement[row]
    return (int(number) - start.isn) & 0xFFFF_FFFF < NEAR


def _ordered(ends: tuple[Endpoint, Endpoint], opener: int) -> tuple[Endpoint, Endpoint]:
    return (ends[1], ends[0]) if opener else ends


def _opener_by_port(ends: tuple[Endpoint, Endpoint]) -> int:
    """Servers mostly have the lower port."""
    return int(ends[0].port < ends[1].port)


def _openers_by_options(table: Table) -> dict[int, int]:
    """By pair, who sent an option that only the opener sends after its SYN."""
    return {
        int(table.flow[option.row]): int(table.direction[option.row])
        for option in table.options
        if _is_third(option) and not table.flags[option.row] & SYN
    }


def _is_third(option: Option) -> bool:
    size = len(option.octets)
    return (option.subtype == Subtype.MP_CAPABLE and size >= 20) or (option.subtype == Subtype.MP_JOIN and size == 24)


def _read_syns(table: Captured, flows: list[Flow]) -> None:
    for row, octets in sorted(table.syn_options.items()):
        if table.flags[row] & RST:
            continue
        flow, direction = flows[table.flow[row]], int(table.direction[row])
        if table.flags[row] & ACK:
            flow.syn_acks.append(row)
            flow.isn[1] = int(table.sequence[row]) if flow.isn[1] is None else flow.isn[1]
        else:
            flow.syns.append(row)
        # Without the option there is no scaling; 14 is the most (RFC 7323 section 2.3).
        flow.scale[direction] = min(int.from_bytes(find_option(octets, WINDOW_SCALE)[:1], "big"), 14)


def _read_openings(table: Captured, flows: list[Flow]) -> None:
    for row in np.flatnonzero((table.flags & (SYN | ACK | RST) == SYN) & (table.payload > 0)):
        flow = flows[table.flow[row]]
        for answer in flow.syn_acks:
            acknowledged = (int(table.acknowledgement[answer]) - (flow.isn[0] or 0) - 1) & 0xFFFF_FFFF
            if acknowledged <= table.payload[row]:
                flow.opening = max(flow.opening, acknowledged)


def _read_third(table: Captured, flows: list[Flow]) -> None:
    """Where SYN or SYN-ACK is missing, the third segment of the handshake tells the initial sequence numbers."""
    for option in table.options:
        row = option.row
        flow = flows[table.flow[row]]
        bare = table.payload[row] == 0 and not table.flags[row] & (SYN | FIN | RST)
        if _is_third(option) and bare and table.direction[row] == 0:
            for side, number in ((0, table.sequence[row]), (1, table.acknowledgement[row])):
                if flow.isn[side] is None:
                    flow.isn[side] = (int(number) - 1) & 0xFFFF_FFFF
