"""The octets of a capture file, decompressed, and a window on them that moves on."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import zstandard

from traces.reading.octets import SLACK
from traces.reading.segments import UInt8

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# A skippable frame may come first: pzstd writes one. Its magic is any of sixteen.
ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
CHUNK = 1 << 16
MOST_AT_ONCE = 1 << 18
# An input of this size gives at most 128 MiB, a block of 128 KiB for each four octets.
ZSTD_CHUNK = 1 << 12


class Stream:
    """A file read from its begin to its end; gzip and zstd are decompressed as they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self.trouble = ""
        """Why it ended before its time; empty when it did not."""
        start = file.read(4)
        file.seek(0)
        self._plain = file
        self._chunks: Iterator[bytes] | None = None
        self._rest = memoryview(b"")
        if start[:2] == GZIP:
            self._chunks = self._gunzip(file)
        elif start == ZSTD or (start[1:] == ZSTD_SKIPPABLE and start[0] >> 4 == 5):
            self._chunks = self._unzstd(file)

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer; fewer octets only at the end."""
        done = 0
        while done < len(buffer):
            try:
                got = self._some(buffer[done:])
            except OSError as error:
                self.trouble = f"it cannot be read further ({error.strerror})"
                break
            if not got:
                break
            done += got
        return done

    def _some(self, buffer: memoryview) -> int:
        if self._chunks is None:
            return self._plain.readinto(buffer)  # type: ignore[attr-defined, no-any-return]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        got = min(len(buffer), len(self._rest))
        buffer[:got] = self._rest[:got]
        self._rest = self._rest[got:]
        return got

    def _gunzip(self, file: BinaryIO) -> Iterator[bytes]:
        """One member after the other (RFC 1952 section 2.2)."""
        data = file.read(CHUNK)
        while data.strip(b"\0"):  # zeros behind the last member fill blocks of a tape
            member = zlib.decompressobj(31)
            while not member.eof:
                data = data or file.read(CHUNK)
                if not data:
                    self.trouble = "the gzip stream is cut off"
                    return
                before = member.copy()
                try:
                    yield member.decompress(data, MOST_AT_ONCE)
                except zlib.error as error:
                    self.trouble = f"the gzip stream is damaged ({error})"
                    yield from _before_the_damage(before, data)
                    return
                data = member.unconsumed_tail
            data = member.unused_data or file.read(CHUNK)

    def _unzstd(self, file: BinaryIO) -> Iterator[bytes]:
        """One frame after the other (RFC 8878 section 3)."""
        data = file.read(ZSTD_CHUNK)
        while data:
            frame = zstandard.ZstdDecompressor().decompressobj()
            while not frame.eof:
                data = data or file.read(ZSTD_CHUNK)
                if not data:
                    self.trouble = "the zstd stream is cut off"
                    return
                try:
                    yield frame.decompress(data)
                except zstandard.ZstdError as error:
                    self.trouble = f"the zstd stream is damaged ({error})"
                    return
                data = b""
            data = frame.unused_data or file.read(ZSTD_CHUNK)


def _before_the_damage(member: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """What comes before the octet at which zlib fails: it tells nothing of the octets that it is given together."""
    for octet in data:
        try:
            yield member.decompress(bytes((octet,)))
        except zlib.error:
            return


class Window:
    """The part of a stream that is in memory. What was read stays as it is: pieces keep views on it."""

    def __init__(self, stream: Stream, size: int) -> None:
        self.stream = stream
        self.octets: UInt8 = np.zeros(SLACK, np.uint8)
        self.at = 0
        """The first octet that nobody has used yet."""
        self.end = 0
        """Behind the last octet; there are `SLACK` zeros behind it."""
        self.before = 0
        """Octets of the stream before the window."""
        self._size = size

    @property
    def place(self) -> int:
        """How many octets of the stream are used."""
        return self.before + self.at

    def has(self, count: int) -> bool:
        """Whether so many octets follow, after reading on where they do not."""
        while self.end - self.at < count:
            if not self._move(count):
                return False
        return True

    def _move(self, count: int) -> bool:
        rest = self.end - self.at
        fresh = np.empty(max(self._size, count) + SLACK, np.uint8)
        fresh[:rest] = self.octets[self.at : self.end]
        got = self.stream.read_into(memoryview(fresh)[rest : len(fresh) - SLACK])  # type: ignore[arg-type]
        self.before += self.at
        self.octets, self.at, self.end = fresh[: rest + got + SLACK], 0, rest + got
        self.octets[self.end :] = 0
        return got > 0
