"""A proxy as its own process, watched through what it logs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.proxy.forking import ForkedProxy

PATIENCE = 15.0
"""Seconds that a wait may take before it is a failure; nothing takes nearly so long."""
ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = ("--allow", "127.0.0.0/8", "--allow", "::1", "--set", "outward.allow_loopback=true")
NO_SUCH_NAME = "a" * 64
"""Its one label is too long for the DNS, so no resolver sends it anywhere."""
ONE_WORKER = ("serve", "--listen", "127.0.0.1:0", "--workers", "1", *LOOPBACK)


class RunningProxy:
    """`python -m proxy` with these arguments. Leaving the `with` block stops it with SIGTERM and waits for its end.

    Behind a `prefix`, it is an interpreter of its own.
    """

    def __init__(
        self,
        *arguments: str,
        prefix: tuple[str, ...] = (),
        nofile: int | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self._lines: list[dict[str, Any]] = []
        self._other: list[str] = []
        self._news = threading.Condition()
        told, its_end = os.pipe()
        self._told = os.fdopen(told)
        self._process: subprocess.Popen[bytes] | ForkedProxy
        if prefix:
            limit = ("prlimit", f"--nofile={nofile}:{nofile}") if nofile else ()
            command = [*prefix, *limit, sys.executable, "-m", "proxy", *arguments]
            self._process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(env or {})}, stderr=its_end)
        else:
            self._process = ForkedProxy(arguments, stderr=its_end, nofile=nofile, env=env)
        os.close(its_end)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:
            started = self.wait_for(lambda line: line["event"] == "listening")
        except AssertionError:
            self.stop()
            raise
        self.addresses: list[str] = started["addresses"]
        self.workers: list[int] = started["workers"]
        self.pid: int = started["pid"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        assert not self._other, "the proxy wrote something that is not a log line:\n" + "".join(self._other)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first listener."""
        host, _, port = self.addresses[0].rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        with self._news:
            return list(self._lines)

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first log line that `wanted` accepts, waiting for it to come."""
        with self._news:
            found = self._news.wait_for(lambda: self._first(wanted) or self._process.poll() is not None, PATIENCE)
            line = self._first(wanted)
        assert found, f"not logged in time; there is: {self._lines} {self._other}"
        assert line, f"the proxy ended before it logged that; there is: {self._lines} {self._other}"
        return line

    def connection(self, **fields: Any) -> dict[str, Any]:
        """The log line of a connection with these fields."""
        return self.wait_for(lambda line: line["event"] == "connection" and fields.items() <= line.items())

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        return self._process.wait(PATIENCE)

    def stop(self) -> None:
        """End it, by force if it does not go."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(PATIENCE)
            self._told.close()

    def _first(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
        return next((line for line in self._lines if wanted(line)), None)

    def _read(self) -> None:
        for text in self._told:
            with self._news:
                if text.startswith("{"):
                    self._lines.append(json.loads(text))
                else:
                    self._other.append(text)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """What happens in the block has all happened when the process goes on."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
