"""Measurements as plain data, and back: they are kept with their evidence, and can be judged again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from traces.neutrality.model import (
    Answer,
    Arm,
    Measurement,
    Probe,
    Quote,
    Reply,
    TableRow,
    Target,
    Transfer,
)


def measurement_as_json(measurement: Measurement) -> dict[str, Any]:
    """Plain data, ready for `json.dumps`."""
    return dataclasses.asdict(measurement)


def measurement_from_json(record: Mapping[str, Any]) -> Measurement:
    """The measurement that `measurement_as_json` wrote down."""
    return Measurement(record["uplink"], record["ttl_offset"], tuple(map(_target, record["targets"])))


def probe_from_json(record: Mapping[str, Any]) -> Probe:
    """One line of what the prober prints of its SYNs."""
    reply, quote = record["reply"], record["quote"]
    return Probe(
        Arm(record["arm"]),
        record["ttl"],
        Answer(record["answer"]),
        record["rtt"],
        Reply(**{**reply, "options": tuple(reply["options"])}) if reply else None,
        Quote(**{**quote, "changed": tuple(quote["changed"])}) if quote else None,
    )


def pair_from_json(record: Sequence[Mapping[str, Any]]) -> tuple[Transfer, Transfer]:
    """One line of what the prober prints of paired downloads: plain TCP first."""
    plain, multipath = record
    return Transfer(**plain), Transfer(**multipath)


def _target(record: Mapping[str, Any]) -> Target:
    return Target(
        name=record["name"],
        speaks_mptcp=record["speaks_mptcp"],
        is_near=record["is_near"],
        probes=tuple(map(probe_from_json, record["probes"])),
        pairs=tuple(map(pair_from_json, record["pairs"])),
        table=tuple(TableRow(**row) for row in record["table"]),
    )
