"""Running the command that is captured: what it prints is passed on as it comes, and kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

OWNER_ONLY = 0o600
STDERR = 2
PIECE = 1 << 16
PATIENCE = 5.0
"""Seconds that it has to end after each signal, and its output to come after it has ended."""


class Command:
    """A command in a process group of its own, so that it is ended with all that it started.

    What it prints goes to the files `stdout.txt` and `stderr.txt` in `folder`, and on to our own output: what is meant
    for standard output to descriptor `stdout`. A terminal is not its input, since ^C is for whoever captures.
    """

    def __init__(self, argv: tuple[str, ...], folder: Path, stdout: int) -> None:
        self._argv = argv
        self._outputs = ((folder / "stdout.txt", stdout), (folder / "stderr.txt", STDERR))
        self._process: subprocess.Popen[bytes] | None = None
        self._copies: list[threading.Thread] = []

    def start(self) -> None:
        """Start it. Whoever is interrupted meanwhile may still `end` it."""
        self._process = subprocess.Popen(
            self._argv,
            stdin=subprocess.DEVNULL if sys.stdin is None or sys.stdin.isatty() else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,
        )
        for source, (path, onward) in zip((self._process.stdout, self._process.stderr), self._outputs, strict=True):
            copy = threading.Thread(target=_copy, args=(source, path, onward), daemon=True)
            self._copies.append(copy)
            copy.start()

    def ended_within(self, seconds: float) -> bool:
        """Wait up to so many seconds; whether it has ended by itself."""
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> int:
        """End it if it still runs, and return its exit code: 128 and the signal's number if a signal ended it.

        If it has ended by itself, what it left running in the background is left alone.
        """
        process = self._process
        if process is None:
            return 128 + signal.SIGINT
        if process.poll() is None:
            for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                _signal(process, sign)
                if self.ended_within(PATIENCE):
                    break
            _signal(process, signal.SIGTERM)  # a shell lets what it runs in the background ignore ^C
        for copy in self._copies:
            copy.join(PATIENCE)  # what it left running in the background may hold its output open
        code = process.wait()
        return 128 - code if code < 0 else code


def _signal(process: subprocess.Popen[bytes], sign: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, sign)


def _copy(source: BinaryIO, path: Path, onward: int) -> None:
    """Pass on and keep until the source ends: also when nobody listens any more, or there is no room to keep it."""
    kept = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    to = [kept, onward]
    try:
        while octets := source.read(PIECE):
            for descriptor in list(to):
                try:
                    _write(descriptor, octets)
                except OSError as error:
                    to.remove(descriptor)
                    if descriptor == kept:
                        print(f"what the command prints is no longer kept in {path}: {error.strerror}", file=sys.stderr)
    finally:
        os.close(kept)
        source.close()


def _write(descriptor: int, octets: bytes) -> None:
    while octets:
        octets = octets[os.write(descriptor, octets) :]
