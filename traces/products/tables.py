"""What is told in tables: connections, subflows, events and plain TCP connections. Columns are named with their units.

`_bytes` are octets of data, `_s` seconds, `_ms` milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from traces.mptcp.model import Connection, Direction, Subflow, TcpConnection, Trace
from traces.products.flight import window_limited
from traces.products.sides import side_of

Cell: TypeAlias = str | int | float | None
YES_OR_NO = {True: "yes", False: "no", None: ""}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with a cell for each column."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def without(self, column: str) -> Table:
        """The table but for a column."""
        at = self.columns.index(column)
        rows = tuple((*row[:at], *row[at + 1 :]) for row in self.rows)
        return Table(self.name, (*self.columns[:at], *self.columns[at + 1 :]), rows)


def connections(chosen: Iterable[Connection]) -> Table:
    """A row for each MPTCP connection."""
    columns = (
        "connection", "version", "client_token", "server_token", "tokens", "subflows", "started_s", "duration_s",
        "bytes_c2s", "bytes_s2c", "goodput_c2s_bytes_per_s", "goodput_s2c_bytes_per_s", "reinjected_bytes_c2s",
        "reinjected_bytes_s2c",
        "window_limited_c2s", "window_limited_s2c", "initial_dsn_c2s", "initial_dsn_s2c",
        "checksums", "checksums_wrong", "fallback",
    )  # fmt: skip
    return Table("connections", columns, tuple(_connection(one) for one in chosen))


def _connection(one: Connection) -> tuple[Cell, ...]:
    limited = (window_limited(side_of(one, direction)) for direction in Direction)
    return (
        one.id, one.version, one.client_token, one.server_token, one.tokens, len(one.subflows),
        round(one.started, 6), round(one.duration, 6), one.bytes.c2s, one.bytes.s2c,
        round(one.goodput(Direction.C2S)), round(one.goodput(Direction.S2C)), one.reinjected.c2s, one.reinjected.s2c,
        *(None if part is None else round(part, 4) for part in limited), *one.initial_dsn,
        "yes" if one.checksums else "no", one.checksums_wrong, one.fallback,
    )  # fmt: skip


def subflows(chosen: Iterable[Connection], *, since: float = 0.0) -> Table:
    """A row for each subflow; times are seconds `since` that one."""
    columns = (
        "connection", "subflow", "source", "source_port", "destination", "destination_port", "opened_by", "interfaces",
        "backup", "local_id", "remote_id", "started_s", "handshake_ms", "hmac", "mapped_bytes_c2s", "mapped_bytes_s2c",
        "unique_bytes_c2s", "unique_bytes_s2c", "retransmitted_bytes_c2s", "retransmitted_bytes_s2c",
        "reinjected_bytes_c2s", "reinjected_bytes_s2c", "reinjected_same_bytes_c2s", "reinjected_same_bytes_s2c",
        "rtt_c2s_ms", "rtt_s2c_ms",
    )  # fmt: skip
    return Table(
        "subflows", columns, tuple((one.id, *_subflow(flow, since)) for one in chosen for flow in one.subflows)
    )


def _subflow(flow: Subflow, since: float) -> tuple[Cell, ...]:
    return (
        flow.id, flow.src, flow.sport, flow.dst, flow.dport, _sender(flow.opener), " ".join(flow.interfaces),
        YES_OR_NO[flow.backup], flow.local_id, flow.remote_id, round(flow.started - since, 6),
        _milliseconds(flow.handshake_seconds), flow.hmac, flow.mapped.c2s, flow.mapped.s2c, flow.unique.c2s,
        flow.unique.s2c, flow.retransmitted.c2s, flow.retransmitted.s2c, flow.reinjected.c2s, flow.reinjected.s2c,
        flow.reinjected_same.c2s, flow.reinjected_same.s2c, *map(_milliseconds, flow.rtt_median),
    )  # fmt: skip


def events(chosen: Iterable[Connection], *, since: float = 0.0) -> Table:
    """A row for each event, in the order of time; times are seconds `since` that one."""
    rows = tuple(
        (one.id, round(event.time - since, 6), event.kind, event.subflow, _sender(event.direction), event.detail)
        for one in chosen
        for event in sorted(one.events, key=lambda event: event.time)
    )
    return Table("events", ("connection", "time_s", "event", "subflow", "from", "detail"), rows)


def tcp_connections(trace: Trace) -> Table:
    """A row for each TCP connection that is no part of an MPTCP connection."""
    columns = (
        "connection", "source", "source_port", "destination", "destination_port", "started_s", "duration_s",
        "syn_ttls", "syn_ack_ttls", "asked_for_mptcp", "answered", "bytes_c2s", "bytes_s2c", "fallback",
    )  # fmt: skip
    return Table("tcp-connections", columns, tuple(_tcp_connection(one) for one in trace.tcp_connections))


def _tcp_connection(one: TcpConnection) -> tuple[Cell, ...]:
    return (
        one.id, one.src, one.sport, one.dst, one.dport, round(one.started, 6), round(one.duration, 6),
        " ".join(map(str, one.syn_ttls)), " ".join(map(str, one.syn_ack_ttls)),
        "no" if one.asked is None else f"v{one.asked}", "yes" if one.answered else "no", one.bytes.c2s, one.bytes.s2c,
        one.fallback,
    )  # fmt: skip


def _sender(direction: Direction) -> str:
    return "client" if direction is Direction.C2S else "server"


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)
