"""A judgement as JSON and as text for a terminal. TTLs are as seen on the uplink."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from traces.neutrality.judge import JudgedTarget, Judgement
from traces.neutrality.model import Arm, TableRow
from traces.neutrality.profile import Fingerprint, Profile
from traces.neutrality.speed import Speed
from traces.neutrality.verdict import Kind, Verdict

UNANSWERED = "unanswered"
FEWEST_OCTETS = 100_000
"""Of a download: what is smaller ends before TCP has found its rate."""
MARKS = {Kind.TRANSPARENT: "✓", Kind.INCONCLUSIVE: "?"}


def as_json(judgement: Judgement) -> dict[str, Any]:
    """Plain data. Rates are in octets per second, times in seconds."""
    return {"uplink": judgement.uplink, "targets": [_target(target) for target in judgement.targets]}


def lines(judgement: Judgement) -> list[str]:
    """The judgement for a person."""
    return [line for target in judgement.targets for line in (*_target_lines(target, judgement.uplink), "")]


def table_rows(table: Iterable[TableRow]) -> list[tuple[str, ...]]:
    """TTLs of SYN and SYN-ACK, and the rates of downloads: a row for each capture, below the columns' names."""
    rows = [(row.name, _syns(row), _answer(row), _rate(row)) for row in table]
    return [("capture", "SYN TTL", "SYN-ACK TTL", "rate"), *rows]


def table_lines(table: Iterable[TableRow]) -> list[str]:
    """The same as text."""
    return list(aligned(table_rows(table)))


def arm_rows(arms: Mapping[Arm, Profile]) -> list[tuple[str, ...]]:
    """What the probes add up to: a row for each arm, below the columns' names."""
    head = ("SYN", "answered from TTL", "SYN-ACK TTL", "when sent", "hops", "RTT", "answered", "MP_CAPABLE", "its TCP")
    return [head, *(_arm_row(profile) for profile in arms.values())]


def aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """A line for each row, its cells below those of the others."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _target(target: JudgedTarget) -> dict[str, Any]:
    return {
        "target": target.name,
        "verdicts": [_verdict(verdict) for verdict in target.verdicts],
        "arms": {arm.value: _arm(profile) for arm, profile in target.arms.items()},
        "speed": _speed(target.speed),
        "table": [dataclasses.asdict(row) for row in target.table],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "kind": verdict.kind.value,
        "arm": verdict.arm.value if verdict.arm else None,
        "hop": verdict.hop,
        "reason": verdict.reason or None,
        "p_value": verdict.p_value,
        "evidence": verdict.evidence,
    }


def _arm(profile: Profile) -> dict[str, Any]:
    fingerprint = profile.fingerprint
    return {
        "lowest_ttl": profile.lowest_ttl,
        "sent": profile.sent,
        "answered": profile.answered,
        "mp_capable": profile.agreed,
        "reply_ttl": profile.reply_ttl,
        "ttl_class": profile.ttl_class,
        "hops": profile.hops,
        "rtt": profile.rtt,
        "fingerprint": dataclasses.asdict(fingerprint) if fingerprint else None,
        "sweep": [dataclasses.asdict(sweep) for sweep in profile.sweeps],
    }


def _speed(speed: Speed | None) -> dict[str, Any]:
    if speed is None:
        return {"plain": None, "mptcp": None, "ratio": None, "interval": None, "pairs": 0}
    return {
        "plain": speed.plain,
        "mptcp": speed.mptcp,
        "ratio": speed.ratio,
        "interval": list(speed.interval) if speed.interval else None,
        "pairs": speed.pairs,
        "log_ratios": list(speed.log_ratios),
        "difference_p": speed.difference_p,
        "equivalence_p": speed.equivalence_p,
    }


def _target_lines(target: JudgedTarget, uplink: str) -> Iterator[str]:
    yield f"{target.name} over {uplink}"
    if target.table:
        yield from (f"  {line}" for line in table_lines(target.table))
    if target.arms:
        yield from (f"  {line}" for line in aligned(arm_rows(target.arms)))
    for verdict in target.verdicts:
        yield f"{MARKS.get(verdict.kind, '✗')} {verdict}"
        p_value = f" (p = {verdict.p_value:.2g})" if verdict.p_value is not None else ""
        if verdict.evidence or p_value:
            yield f"  {verdict.evidence}{p_value}"


def _arm_row(profile: Profile) -> tuple[str, ...]:
    return (
        profile.arm.value,
        _or_dash(profile.lowest_ttl),
        _or_dash(profile.reply_ttl),
        _or_dash(profile.ttl_class),
        _or_dash(profile.hops),
        "-" if profile.rtt is None else f"{profile.rtt * 1e3:.1f} ms",
        f"{profile.answered} of {profile.sent}",
        str(profile.agreed),
        _tcp(profile.fingerprint),
    )


def _tcp(found: Fingerprint | None) -> str:
    """A fingerprint in short: `window 65160 << 7, MSS 1460, options 2 4 8 3`; timestamps are option 8."""
    if found is None:
        return "-"
    scale = "" if found.scale is None else f" << {found.scale}"
    mss = "" if found.mss is None else f", MSS {found.mss}"
    options = f", options {' '.join(map(str, found.options))}" if found.options else ", no options"
    return f"window {found.window}{scale}{mss}{options}"


def _syns(row: TableRow) -> str:
    return str(row.syn_ttl) if row.syns == 1 else f"{row.syn_ttl}, {row.syns} times"


def _answer(row: TableRow) -> str:
    return _or_dash(row.syn_ack_ttl) if row.answered else UNANSWERED


def _rate(row: TableRow) -> str:
    return f"{row.octets / row.seconds / 1e6:.1f} MB/s" if row.octets >= FEWEST_OCTETS and row.seconds else ""


def _or_dash(value: int | None) -> str:
    return "-" if value is None else str(value)
