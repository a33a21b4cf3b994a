"""What is measured: programs that list the subflows of a capture, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import MpsocksError

ROOT = Path(__file__).parents[3]
SYNS = "tcp.flags.syn==1 && tcp.flags.ack==0 && tcp.options.mptcp.subtype"
FIELDS = ("ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "tcp.options.mptcp.subtype")
TSHARK = ("tshark", "-n", "-r", "{file}")
LISTED = ("-T", "fields", *(part for field in FIELDS for part in ("-e", field)))


@dataclass(frozen=True, slots=True)
class Contender:
    """A program; `{file}` in its arguments stands for the capture."""

    name: str
    argv: tuple[str, ...]
    count: Callable[[str], int]
    """How many subflows it has listed, by its output."""
    is_tshark: bool = False

    def command(self, file: Path) -> list[str]:
        return [part.replace("{file}", str(file)) for part in self.argv]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a program, from its begin to its end."""

    seconds: float
    processor_seconds: float
    megabytes: float
    """The most memory that it had."""


def _lines(output: str) -> int:
    return len(output.splitlines())


def _subflows(output: str) -> int:
    return sum(len(connection["subflows"]) for connection in json.loads(output)["connections"])


WHOLE = Contender("traces summary", (sys.executable, "-m", "traces", "summary", "--json", "{file}"), _subflows)
"""The whole analysis: the octets of each subflow, reinjections, round trip times, …"""
SAME = Contender("reader, MPTCP SYNs", (sys.executable, "-m", "tests.traces.bench.listing", "{file}"), _lines)
"""What tshark does here, and no more."""
USUAL = Contender("tshark -Y", (*TSHARK, "-Y", SYNS, *LISTED), _lines, is_tshark=True)
"""With a display filter, as people call it."""
FAST = Contender("tshark -2 -R", (*TSHARK, "-2", "-R", SYNS, *LISTED), _lines, is_tshark=True)
"""The fastest way that was found: fields are made in the second pass, for what the read filter lets through.

Preferences that leave analyses out make it no faster, and statistics such as `-z conv,tcp` take as long without saying
what is a subflow.
"""
CONTENDERS = (WHOLE, SAME, USUAL, FAST)


def run(contender: Contender, file: Path, subflows: int) -> Run:
    """Run it once; `MpsocksError` when it fails or lists another number of subflows."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.monotonic()
        process = subprocess.Popen(contender.command(file), cwd=ROOT, stdout=output, stderr=errors)
        _pid, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise MpsocksError(f"{contender.name} failed", why=errors.read())
        found = contender.count(output.read())
    if found != subflows:
        raise MpsocksError(f"{contender.name} lists {found} subflows, and the capture has {subflows}")
    return Run(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
