"""One line per connection on standard error, JSON or text, written off the hot path.

The loop only appends a tuple; lines are made and written in batches by the tick. A log that cannot be written (disk
full, reader gone or stuck) is dropped and counted, and never holds up a connection. What clients chose themselves, such
as names, is escaped, so that it can neither begin a line nor command a terminal.
"""

from __future__ import annotations

import json
import os
import select
import sys
import traceback
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted
from queue import SimpleQueue
from threading import Thread
from time import localtime, strftime, time
from typing import Any, NamedTuple

from codec.command import Command
from proxy.options import LogFormat

LONGEST_WRITE = 4096
"""PIPE_BUF: a write of at most this many octets to a pipe is not mixed with those of other workers."""
LONGEST_QUEUE = 256
LINES_PER_BATCH = 1000


class Record(NamedTuple):
    """How one connection went. A tuple rather than a dataclass: one is made for every connection."""

    ended: float
    """Seconds since the epoch."""
    client: tuple[Any, ...]
    protocol: str
    host: str
    """Destination, by the name or address that the client gave; empty when it never got that far."""
    port: int
    mptcp: bool
    up: int
    """Octets from client to remote."""
    down: int
    seconds: float
    reason: str
    user: str | None = None
    """Who had the right password, or the session of whom had."""
    command: int | None = None
    """What was asked for, as the octet of SOCKS 5 and SOCKSv6; None when it never got that far."""

    @property
    def destination(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if host else ""

    @property
    def peer(self) -> str:
        host = f"[{self.client[0]}]" if ":" in self.client[0] else self.client[0]
        return f"{host}:{self.client[1]}"

    def line(self) -> str:
        """As JSON."""
        user = f'"user":{quoted(self.user)},' if self.user is not None else ""
        command = f'"command":"{_command(self.command)}",' if self.command is not None else ""
        return (
            f'{{"time":{self.ended:.3f},"event":"connection","client":"{self.peer}",{user}'
            f'"protocol":"{self.protocol}",{command}"destination":{quoted(self.destination)},'
            f'"mptcp":{"true" if self.mptcp else "false"},"up":{self.up},"down":{self.down},'
            f'"seconds":{self.seconds:.3f},"end":{quoted(self.reason)}}}\n'
        )

    def text(self) -> str:
        """For people."""
        user = f"{printable(self.user)}@" if self.user is not None else ""
        command = "" if self.command is None or self.command == Command.CONNECT else f" {_command(self.command)}"
        where = f"{command} -> {printable(self.destination)}" if self.host else command
        return (
            f"{_clock(self.ended)} {user}{self.peer} {self.protocol}{where}{' mptcp' if self.mptcp else ''}, "
            f"{self.up} up, {self.down} down, {self.seconds:.3f} s: {printable(self.reason)}\n"
        )


_COMMANDS = {command.value: command.name.lower().replace("_", " ") for command in Command}


def _command(octet: int) -> str:
    return _COMMANDS.get(octet, str(octet))


_RECORD_LINES: dict[LogFormat, Callable[[Record], str]] = {LogFormat.JSON: Record.line, LogFormat.TEXT: Record.text}


def printable(text: str) -> str:
    """Escape what a terminal would obey, or take for another line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else quoted(c)[1:-1] for c in text)


def event_line(form: LogFormat, event: str, fields: dict[str, Any]) -> str:
    """A line about the proxy itself."""
    if form is LogFormat.JSON:
        return json.dumps({"time": round(time(), 3), "event": event, **fields}) + "\n"
    told = "".join(f" {name}={_plain(value)}" for name, value in fields.items())
    return f"{_clock(time())} {event}{told}\n"


def say(event: str, form: LogFormat = LogFormat.JSON, **fields: Any) -> None:
    """Write one line about the proxy itself, at once; or not at all, if that would have to wait."""
    line = event_line(form, event, fields).encode()
    fd = sys.stderr.fileno()
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    if poll.poll(0):
        # A pipe that is writable has room for PIPE_BUF octets; more of them would wait for its reader.
        # What is lost is not counted: nobody can be told that nobody can be told.
        _lines.write(fd, line if len(line) <= LONGEST_WRITE else line[: LONGEST_WRITE - 1] + b"\n")


class _Lines:
    """Writes whole lines, and mends what a disk that filled up has cut: the next line does not go on in its middle."""

    def __init__(self) -> None:
        self._cut = False
        """The last that was written is no whole line."""

    def write(self, fd: int, lines: bytes) -> int:
        """How many of the lines were not written, or not whole."""
        octets = b"\n" + lines if self._cut else lines
        try:
            written = os.write(fd, octets)
        except OSError:
            written = 0
        if not written:
            return lines.count(b"\n")
        self._cut = not octets.endswith(b"\n", 0, written)
        return octets.count(b"\n", written)


_lines = _Lines()
"""One for the process: all that it says goes to the same place."""


class Log:
    """One per worker."""

    def __init__(self, form: LogFormat = LogFormat.JSON) -> None:
        self.records: list[Record] = []
        self._form = form
        self._line = _RECORD_LINES[form]
        self._events: list[str] = []
        self._not_queued = 0
        self._not_written = 0
        self._told_dropped = 0
        self._batches: SimpleQueue[list[bytes] | None] = SimpleQueue()
        self._writer = Thread(target=self._write_all, daemon=True)
        self._writer.start()

    @property
    def dropped(self) -> int:
        """Lines that could not be written since the start."""
        return self._not_queued + self._not_written

    def add(self, record: Record) -> None:
        self.records.append(record)
        if len(self.records) >= LINES_PER_BATCH:
            self.flush()

    def defect(self, error: BaseException) -> None:
        """What should not have happened, with all that helps to find out why."""
        self._events.append(event_line(self._form, "defect", {"traceback": "".join(traceback.format_exception(error))}))

    def flush(self) -> None:
        """Hand what has gathered to the writing thread."""
        if not self.records and not self._events:
            return
        records, self.records = self.records, []
        events, self._events = self._events, []
        if self._batches.qsize() >= LONGEST_QUEUE:
            self._not_queued += len(records) + len(events)
            return
        self._batches.put(_chunks([*map(self._line, records), *events]))

    def close(self, seconds: float = 1.0) -> None:
        """Write what is left, waiting no longer than `seconds`."""
        self.flush()
        self._batches.put(None)
        self._writer.join(seconds)

    def _write_all(self) -> None:
        fd = sys.stderr.fileno()
        while (batch := self._batches.get()) is not None:
            for chunk in batch:
                self._not_written += _lines.write(fd, chunk)
            if dropped := self.dropped - self._told_dropped:
                told = event_line(self._form, "log lines dropped", {"count": dropped})
                if not _lines.write(fd, told.encode()):  # else the next batch tells, with what is lost until then
                    self._told_dropped += dropped


def _clock(seconds: float) -> str:
    return f"{strftime('%Y-%m-%d %H:%M:%S', localtime(seconds))}.{int(seconds % 1 * 1000):03}"


def _plain(value: Any) -> str:
    return ",".join(map(_plain, value)) if isinstance(value, list) else printable(str(value))


def _chunks(lines: list[str]) -> list[bytes]:
    """The lines joined into as few writes as atomicity allows."""
    chunks: list[bytes] = []
    chunk = b""
    for line in lines:
        octets = line.encode()
        if chunk and len(chunk) + len(octets) > LONGEST_WRITE:
            chunks.append(chunk)
            chunk = b""
        chunk += octets
    return [*chunks, chunk]
