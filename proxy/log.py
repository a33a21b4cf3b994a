"""One JSON line per connection on standard error, written off the hot path.

The loop only appends a tuple; lines are made and written in batches by the tick. A log that cannot be written (disk
full, reader gone or stuck) is dropped and counted, and never holds up a connection.
"""

from __future__ import annotations

import json
import os
import sys
from json.encoder import encode_basestring_ascii as quoted
from queue import SimpleQueue
from threading import Thread
from time import time
from typing import Any, NamedTuple

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

    def line(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        peer = f"[{self.client[0]}]" if ":" in self.client[0] else self.client[0]
        return (
            f'{{"time":{self.ended:.3f},"event":"connection","client":"{peer}:{self.client[1]}",'
            f'"protocol":"{self.protocol}","destination":{quoted(f"{host}:{self.port}" if host else "")},'
            f'"mptcp":{"true" if self.mptcp else "false"},"up":{self.up},"down":{self.down},'
            f'"seconds":{self.seconds:.3f},"end":{quoted(self.reason)}}}\n'
        )


def say(event: str, **fields: Any) -> None:
    """Write one line about the proxy itself, at once."""
    os.write(sys.stderr.fileno(), (json.dumps({"time": round(time(), 3), "event": event, **fields}) + "\n").encode())


class Log:
    """One per worker."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._dropped = 0
        self._batches: SimpleQueue[list[bytes] | None] = SimpleQueue()
        self._writer = Thread(target=self._write_all, daemon=True)
        self._writer.start()

    def add(self, record: Record) -> None:
        self.records.append(record)
        if len(self.records) >= LINES_PER_BATCH:
            self.flush()

    def flush(self) -> None:
        """Hand what has gathered to the writing thread."""
        if not self.records:
            return
        records, self.records = self.records, []
        if self._batches.qsize() >= LONGEST_QUEUE:
            self._dropped += len(records)
            return
        lines = [record.line() for record in records]
        if self._dropped:
            lines.append(f'{{"event":"log lines dropped","count":{self._dropped}}}\n')
            self._dropped = 0
        self._batches.put(list(_chunks(lines)))

    def close(self, seconds: float = 1.0) -> None:
        """Write what is left, waiting no longer than `seconds`."""
        self.flush()
        self._batches.put(None)
        self._writer.join(seconds)

    def _write_all(self) -> None:
        fd = sys.stderr.fileno()
        while (batch := self._batches.get()) is not None:
            for chunk in batch:
                try:
                    os.write(fd, chunk)
                except OSError:
                    self._dropped += chunk.count(b"\n")


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
