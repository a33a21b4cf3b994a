"""Who is measured: the proxies, each started in the benchmark's namespace, and no proxy at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.errors import MpsocksError
from lab.templates import render
from tests.proxy.bench.load import Protocol
from tests.proxy.bench.packages import OtherProxies
from tests.proxy.bench.processes import listening_sockets

ADDRESS = "127.0.0.1"
NETWORK = "127.0.0.0/8"
WORKERS = 2
START_SECONDS = STOP_SECONDS = 15.0
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a contender runs: what goes before its command, a folder for its files, and the proxies of others."""

    prefix: tuple[str, ...]
    folder: Path
    others: OtherProxies


MakeArgv = Callable[[int, Place], list[str]]
"""The command for a server on this port."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One column of the table."""

    key: str
    title: str
    protocol: Protocol
    port: int = 0
    argv: MakeArgv | None = None
    """None: nothing is started."""
    listeners: int = 1
    """Sockets that listen once all of it is up."""
    logs: bool = True
    """Whether what it writes to standard error goes to a file, or nowhere."""

    @contextmanager
    def running(self, place: Place) -> Iterator[int]:
        """Start it; its process number, 0 when nothing is started."""
        if self.argv is None:
            yield 0
            return
        said = place.folder / f"{self.key}.log" if self.logs else Path("/dev/null")
        with said.open("ab") as log:
            argv = [*place.prefix, *self.argv(self.port, place)]
            process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            self._wait_until_it_listens(process, said)
            yield process.pid
        finally:
            _stop(process)

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes], said: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while listening_sockets(process.pid, self.port) < self.listeners:
            if process.poll() is not None or time.monotonic() > deadline:
                why = said.read_bytes()[-2000:].decode(errors="replace") if self.logs else "it says nothing"
                raise MpsocksError(f"{self.title} does not start", why=why)
            time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it and its processes: dante's outlive it for a moment, and hold the port that the next one needs."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    deadline = time.monotonic() + STOP_SECONDS
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, signal.SIGKILL)
            process.poll()
            time.sleep(0.01)


def _dante(port: int, place: Place) -> list[str]:
    """It logs nothing of a connection, since no rule tells it to; two processes accept."""
    configuration = place.folder / "danted.conf"
    template = Path(__file__).with_name("danted.conf.j2")
    configuration.write_text(render(template, address=ADDRESS, port=port, network=NETWORK))
    return place.others.argv(
        "usr/sbin/danted", "-N", str(WORKERS), "-f", str(configuration), "-p", str(place.folder / "danted.pid")
    )


def _microsocks(port: int, place: Place) -> list[str]:
    return place.others.argv("usr/bin/microsocks", "-i", ADDRESS, "-p", str(port))


def _mpsocks(port: int, _place: Place) -> list[str]:
    """Over plain TCP, like the others. It logs every connection to a file and asks its rules about every request."""
    rules = (
        '{verdict="deny",networks=["192.168.0.0/16"]}',
        f'{{verdict="allow",clients=["{NETWORK}"],commands=["CONNECT"],networks=["{NETWORK}"]}}',
    )
    return [
        sys.executable, "-m", "proxy", "serve", "--set", f'listen=[{{address="{ADDRESS}:{port}",mptcp=false}}]',
        "--set", f"rule=[{','.join(rules)}]",
        "--workers", str(WORKERS), "--allow", NETWORK, "--set", "outward={allow_loopback=true,mptcp=false}",
    ]  # fmt: skip


DIRECT = Contender("direct", "direct", Protocol.DIRECT)
DANTE = Contender("dante", "dante", Protocol.SOCKS5, 2101, argv=_dante)
MICROSOCKS = Contender("microsocks", "microsocks", Protocol.SOCKS5, 2102, argv=_microsocks, logs=False)
OURS_5 = Contender("socks5", "mpsocks SOCKS5", Protocol.SOCKS5, 2103, argv=_mpsocks, listeners=WORKERS)
OURS_6 = Contender("socks6", "mpsocks SOCKSv6", Protocol.SOCKS6, 2104, argv=_mpsocks, listeners=WORKERS)
CONTENDERS = (DIRECT, DANTE, MICROSOCKS, OURS_5, OURS_6)
