"""Where a path is measured from: the host that the prober runs on, made ready, and as it was afterwards."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from pathlib import Path
from typing import Any

from lab.journal import Journal
from lab.runner import Runner
from lab.steps import MptcpLimits, NftTable, Sysctl
from lab.templates import render
from traces.neutrality.prober.sweep import PORTS
from traces.neutrality.prober.wire import RESET_MARK

SCOPE = "neutrality"
TABLE = "mpsocks_prober"
TTL_TABLE = "mpsocks_prober_ttl"
TTL_SCOPE = f"{SCOPE}:ttl"
LEASH = Path(__file__).with_name("leash.sh")
SYNS = 5
"""A connection that is not answered sends so many, as in the origin's table."""
LINEAR = "net/ipv4/tcp_syn_linear_timeouts"


@dataclass(frozen=True, slots=True)
class Vantage:
    """A host behind an uplink, or in a namespace."""

    runner: Runner
    command: tuple[str, ...]
    """What runs the prober there."""
    interface: str
    source: IPv4Address | IPv6Address
    journal: Journal
    """Of the changes made there, and of nothing else."""

    def probe(
        self, task: str, options: dict[str, object], seconds: float, tell: Callable[[int], None] = lambda _: None
    ) -> list[Any]:
        """What the prober reports of `task`, line by line, within `seconds`; `tell` hears how many there are."""
        words = [word for name, value in options.items() for word in _words(name, value)]
        lines = count(1)
        printed = self.runner.change(
            *self.command, task, "--source", str(self.source), *words,
            timeout=seconds, on_line=lambda _: tell(next(lines)),
            hint="the prober needs root, Python 3.11, and the uplink to stand: `invoke status`",
        )  # fmt: skip
        return [json.loads(line) for line in printed.splitlines() if line.startswith(("{", "["))]

    def change(self, step: MptcpLimits | NftTable | Sysctl, scope: str = SCOPE) -> None:
        """Make one change there, until the measurement ends, or the scope is taken back."""
        self.journal.apply(step, scope)


def _words(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, bool):
        return (f"--{name}",) if value else ()
    return f"--{name}", str(value)


@contextmanager
def ready(vantage: Vantage) -> Iterator[None]:
    """Make the host ready for the prober for as long as the block runs.

    Its kernel keeps its resets to itself, MPTCP makes one subflow, and no lost SYN switches it off. All that is a
    journalled step. When this process is killed the host puts itself back; what it could not, the next one does.
    """
    vantage.journal.undo()
    settings = _settings(vantage)
    with _leashed(vantage, settings):
        try:
            vantage.change(NftTable("inet", TABLE, held_resets()))
            vantage.change(MptcpLimits(0, 0))
            for key, value in settings.items():
                vantage.change(Sysctl(key, value))
            yield
        finally:
            vantage.journal.undo()


@contextmanager
def leaving_with(ttl: int, target: IPv4Address | IPv6Address, port: int, vantage: Vantage) -> Iterator[None]:
    """Have connections to this port leave with `ttl` for as long as the block runs; all others are left alone.

    A socket option would do for plain TCP, but MPTCP sockets have none for it, and the sysctl is everyone's.
    """
    template = Path(__file__).with_name("leaving-ttl.nft.j2")
    rule = render(template, table=TTL_TABLE, target=target, port=port, ttl=ttl)
    try:
        vantage.change(NftTable("inet", TTL_TABLE, rule), TTL_SCOPE)
        yield
    finally:
        vantage.journal.undo(TTL_SCOPE)


@contextmanager
def _leashed(vantage: Vantage, keys: Iterable[str]) -> Iterator[None]:
    """Have the host watch whether this process lives, and put itself back when it does not."""
    measuring = f"/run/mpsocks-measuring-{secrets.token_hex(4)}"
    tables = f"{TABLE} {TTL_TABLE}"
    vantage.runner.change("sh", "-c", LEASH.read_text(encoding="utf-8"), "leash", measuring, tables, *keys)
    try:
        yield
    finally:
        vantage.runner.change("rm", "-f", measuring)


def _settings(vantage: Vantage) -> dict[str, str]:
    """Those that the kernel has: which there are differs from release to release.

    Five SYNs soon after each other where the kernel can do that (Linux 6.5). It counts linear retries beside the
    others, and gives up as well when those others would have taken so long.
    """
    linear = _has(vantage, LINEAR)
    wanted = {
        # One lost SYN would otherwise switch MPTCP off for an hour.
        "net/mptcp/blackhole_timeout": "0",
        # Later than the last of them: what is sent again asks for MPTCP, too.
        "net/mptcp/syn_retrans_before_tcp_fallback": str(SYNS),
        LINEAR: "2",
        "net/ipv4/tcp_syn_retries": "2" if linear else str(SYNS - 1),
    }
    return {key: value for key, value in wanted.items() if _has(vantage, key)}


def _has(vantage: Vantage, key: str) -> bool:
    return vantage.runner.dry or vantage.runner.probe("sysctl", "-n", key).ok


def held_resets() -> str:
    """The table that keeps the kernel from resetting what it knows no connection for; the prober's own resets pass."""
    template = Path(__file__).with_name("held-resets.nft.j2")
    return render(template, table=TABLE, first=PORTS.start, last=PORTS.stop - 1, mark=RESET_MARK)
