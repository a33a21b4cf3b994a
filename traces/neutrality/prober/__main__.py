"""`python3 prober.pyz syns|pairs|fetch …`: measure, and print JSON lines."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from traces.neutrality.prober.download import Download, fetch, pairs
from traces.neutrality.prober.plan import Effort
from traces.neutrality.prober.sweep import Pace, Sweep
from traces.neutrality.prober.wire import Wire


def main() -> None:
    """Read the command line, measure, print."""
    options = _parser().parse_args()
    for line in options.measure(options):
        print(json.dumps(line), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measures a path; prints JSON lines.")
    commands = parser.add_subparsers(required=True)
    syns = _command(commands, "syns", _syns, "send raw SYNs of all arms over all TTLs")
    syns.add_argument("--interface", required=True)
    syns.add_argument("--repeats", type=int, default=Effort().repeats)
    syns.add_argument("--max-ttl", type=int, default=Effort().max_ttl)
    syns.add_argument("--gap", type=float, default=Pace().gap, help="seconds between two SYNs")
    syns.add_argument("--patience", type=float, default=Pace().patience, help="seconds that an answer may take")
    syns.add_argument("--seed", type=int, required=True)
    for name, measure, purpose in (("pairs", _pairs, "paired downloads"), ("fetch", _fetch, "one download")):
        command = _command(commands, name, measure, purpose)
        command.add_argument("--host", required=True)
        command.add_argument("--path", required=True)
        command.add_argument("--octets", type=int, required=True)
        command.add_argument("--seconds", type=float, required=True, help="no download takes longer")
        command.add_argument("--patience", type=float, required=True, help="seconds for the server to answer")
    commands.choices["pairs"].add_argument("--count", type=int, required=True)
    commands.choices["fetch"].add_argument("--mptcp", action="store_true")
    return parser


def _command(commands: Any, name: str, measure: Any, purpose: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=purpose)
    command.add_argument("--source", type=ip_address, required=True)
    command.add_argument("--target", type=ip_address, required=True)
    command.add_argument("--port", type=int, required=True)
    command.set_defaults(measure=measure)
    return command


def _syns(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    pace = Pace(options.gap, options.patience)
    with Wire(options.interface, options.source) as wire:
        sweep = Sweep(wire, options.source, (options.target, options.port), options.seed, pace)
        for probe in sweep.run(Effort(options.repeats, options.max_ttl)):
            yield dataclasses.asdict(probe)


def _pairs(options: argparse.Namespace) -> Iterator[list[dict[str, Any]]]:
    for pair in pairs(_download(options), options.count):
        yield [dataclasses.asdict(transfer) for transfer in pair]


def _fetch(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    yield dataclasses.asdict(fetch(_download(options), multipath=options.mptcp))


def _download(options: argparse.Namespace) -> Download:
    target = (options.target, options.port)
    return Download(
        options.source, target, options.host, options.path, options.octets, options.seconds, options.patience
    )


main()
