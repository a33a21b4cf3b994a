"""The C program that makes the load: compiled when needed, then run for one measurement at a time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lab.cache import Cache, file_digest, fingerprint
from lab.errors import MpsocksError
from lab.runner import Runner

SOURCE = Path(__file__).with_name("load.c")
COMPILE = ("gcc", "-O2", "-Wall", "-Wextra")
KEPT_BUILDS = 2
SPARE_SECONDS = 60.0
"""For opening and closing; the program gives up long before, by itself, when nothing happens."""


class Mode(StrEnum):
    """What the clients do."""

    CONNECTIONS = "connections"
    ROUND_TRIPS = "round-trips"
    DOWN = "down"
    UP = "up"


class Protocol(StrEnum):
    """How they get to the target."""

    DIRECT = "direct"
    SOCKS5 = "socks5"
    SOCKS6 = "socks6"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the program says of one measurement."""

    seconds: float
    done: int
    """Connections or round trips."""
    early: int
    """Of them, those of the first quarter of the time."""
    failed: int
    """Connections."""
    octets: int
    p50_us: float
    p99_us: float


def build_load(cache: Cache, host: Runner) -> Path:
    """The program, compiled or from the cache."""
    key = fingerprint({"source": file_digest(SOURCE), "compile": COMPILE})
    if not cache.recall("bench", key, dry=host.dry):
        with cache.building("bench", key, dry=host.dry) as folder:
            host.change(*COMPILE, SOURCE, "-o", folder / "load", hint="install gcc and libc6-dev")
        cache.prune("bench", KEPT_BUILDS, dry=host.dry)
    return cache.entry("bench", key) / "load"


@dataclass(frozen=True, slots=True)
class Load:
    """The program in the benchmark's namespace, with its target on `port` and the three behind it."""

    program: Path
    prefix: tuple[str, ...]
    """Goes before every command: it leads into the namespace."""
    port: int

    @contextmanager
    def target(self) -> Iterator[None]:
        """Run the target that all connections go to."""
        with subprocess.Popen(self.argv("target", str(self.port)), stderr=subprocess.PIPE, text=True) as process:
            try:
                yield
            finally:
                ended = process.poll()
                process.terminate()
                said = process.communicate()[1]
            if ended is not None:
                raise MpsocksError("the target of the benchmark ended by itself", why=said)

    def measure(self, mode: Mode, protocol: Protocol, proxy: int, connections: int, seconds: float) -> Outcome:
        """One measurement through the proxy on port `proxy`."""
        done = subprocess.run(
            self.argv(mode, protocol, str(proxy), str(self.port), str(connections), str(seconds)),
            capture_output=True, text=True, check=False, timeout=seconds + SPARE_SECONDS,
        )  # fmt: skip
        if done.returncode != 0:
            raise MpsocksError(f"measuring {mode} over {protocol} failed", why=done.stderr)
        return Outcome(**json.loads(done.stdout))

    @contextmanager
    def idle(self, protocol: Protocol, proxy: int, connections: int) -> Iterator[None]:
        """Hold so many connections, each of which has echoed one message."""
        argv = self.argv("idle", protocol, str(proxy), str(self.port), str(connections), "0")
        pipe: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with subprocess.Popen(argv, text=True, **pipe) as process:
            assert process.stdout is not None
            try:
                if not process.stdout.readline():
                    raise MpsocksError("idle connections cannot be held", why=process.communicate()[1])
                yield
            finally:
                # Ends its standard input, and it with that.
                process.communicate()

    def argv(self, *arguments: str) -> list[str]:
        return [*self.prefix, str(self.program), *arguments]
