"""Compressed files read as the plain ones do; cut and damaged streams give what comes before."""

from __future__ import annotations

import errno
import gzip
import struct
import subprocess
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.reading.files import numbered, pcap, read
from tests.traces.reading.packets import ipv4
from traces.reading.stream import Stream

PACKETS = 3000
PLAIN = pcap([ipv4(segment) for segment in numbered(PACKETS)])
HALF = len(PLAIN) // 2


def zstd(octets: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(octets)


COMPRESSIONS = pytest.mark.parametrize("compress", [gzip.compress, zstd], ids=["gzip", "zstd"])
SKIPPABLE = b"\x50\x2a\x4d\x18" + struct.pack("<I", 4) + b"\x07\0\0\0"
Compress = Callable[[bytes], bytes]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.pcap.gz"


def sequence(path: Path, octets: bytes) -> list[int]:
    """The sequence numbers in a file that there is nothing to warn of."""
    pieces, reading = read(path, octets)
    assert reading.warnings == []
    return [number for piece in pieces for number in piece.sequence.tolist()]


@COMPRESSIONS
class TestWhole:
    def test_in_one_part(self, path: Path, compress: Compress) -> None:
        assert sequence(path, compress(PLAIN)) == list(range(PACKETS))

    def test_in_several_parts(self, path: Path, compress: Compress) -> None:
        octets = b"".join(compress(part) for part in (PLAIN[:7], PLAIN[7:HALF], b"", PLAIN[HALF:]))
        assert sequence(path, octets) == list(range(PACKETS))

    def test_in_small_pieces(self, path: Path, compress: Compress) -> None:
        pieces, _reading = read(path, compress(PLAIN), piece_octets=1000)
        assert len(pieces) > 100
        assert sum(len(piece) for piece in pieces) == PACKETS


class TestParts:
    def test_zeros_behind_gzip_are_passed_over(self, path: Path) -> None:
        assert len(sequence(path, gzip.compress(PLAIN) + bytes(512))) == PACKETS

    def test_skippable_frames_of_zstd_are_passed_over(self, path: Path) -> None:
        octets = SKIPPABLE + zstd(PLAIN[:HALF]) + SKIPPABLE + zstd(PLAIN[HALF:]) + SKIPPABLE
        assert len(sequence(path, octets)) == PACKETS

    @pytest.mark.parametrize("program", [("gzip", "-9"), ("zstd", "-q", "--long=27"), ("zstd", "-q", "-T2", "-B4096")])
    def test_what_the_programs_write_is_read(self, path: Path, program: tuple[str, ...]) -> None:
        compressed = subprocess.run([*program, "-c"], input=PLAIN, capture_output=True, check=True).stdout
        assert len(sequence(path, compressed)) == PACKETS


@COMPRESSIONS
class TestDamage:
    @pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
    def test_a_stream_that_is_cut_off_gives_what_comes_before_the_end(
        self, path: Path, compress: Compress, kept: float
    ) -> None:
        whole = compress(PLAIN)
        pieces, reading = read(path, whole[: int(len(whole) * kept)])
        found = [number for piece in pieces for number in piece.sequence.tolist()]
        assert found == list(range(len(found)))
        assert "stream is cut off" in reading.warnings[-1]

    def test_a_second_part_that_is_cut_off_loses_nothing_of_the_first(self, path: Path, compress: Compress) -> None:
        first, second = compress(PLAIN[:HALF]), compress(PLAIN[HALF:])
        pieces, reading = read(path, first + second[: len(second) // 8])
        assert sum(len(piece) for piece in pieces) >= PACKETS // 2 - 1
        assert "stream is cut off" in reading.warnings[-1]

    def test_a_stream_whose_checksum_is_wrong_is_told(self, path: Path, compress: Compress) -> None:
        octets = bytearray(compress(PLAIN[:HALF]) + compress(PLAIN[HALF:]))
        octets[-8 if compress is gzip.compress else -1] ^= 1
        pieces, reading = read(path, bytes(octets))
        assert sum(len(piece) for piece in pieces) >= PACKETS // 2 - 1
        assert "stream is damaged" in reading.warnings[-1]

    def test_what_is_behind_and_no_part_is_told(self, path: Path, compress: Compress) -> None:
        whole = compress(PLAIN)
        pieces, reading = read(path, whole + b"no member and no frame")
        assert sum(len(piece) for piece in pieces) == PACKETS
        assert "stream is damaged" in reading.warnings[-1]


class FailingDisk(BytesIO):
    """A file whose second half the disk cannot read."""

    def readinto(self, buffer: Any) -> int:
        if self.tell() >= HALF:
            raise OSError(errno.EIO, "Input/output error")
        return super().readinto(memoryview(buffer)[: HALF - self.tell()])


def test_a_file_that_the_disk_cannot_read_on_gives_what_comes_before() -> None:
    stream = Stream(FailingDisk(PLAIN))
    buffer = bytearray(len(PLAIN))
    assert buffer[: stream.read_into(memoryview(buffer))] == PLAIN[:HALF]
    assert stream.trouble == "it cannot be read further (Input/output error)"


SMALL = gzip.compress(PLAIN[: len(PLAIN) // 16])


@given(at=st.integers(20, len(SMALL) - 9), octet=st.integers(0, 255))
def test_octets_before_the_damage_of_gzip_are_all_read(at: int, octet: int) -> None:
    """zlib throws away what it was given together with the damage; the reader does not."""
    broken = bytearray(SMALL)
    broken[at] = octet
    stream = Stream(BytesIO(broken))
    buffer = bytearray(2 * len(PLAIN))
    got = stream.read_into(memoryview(buffer))
    member, expected = zlib.decompressobj(31), b""
    with suppress(zlib.error):
        for one in broken:
            expected += member.decompress(bytes((one,)))
    assert buffer[:got] == expected
    assert bool(stream.trouble) == (not member.eof)
