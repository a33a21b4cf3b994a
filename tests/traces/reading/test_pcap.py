"""pcap files, whole and damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lab.errors import BadInputError
from tests.traces.reading.files import MICROSECONDS, NANOS, NANOSECONDS, SECONDS, numbered, pcap, read, read_one
from tests.traces.reading.packets import ipv4, ipv6, tcp
from traces.reading.reading import read_captures

PACKETS = [ipv4(segment) for segment in numbered(5)]
RECORD = 16 + len(PACKETS[0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wlan1.pcap"


@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
@pytest.mark.parametrize("magic", [MICROSECONDS, NANOSECONDS], ids=["microseconds", "nanoseconds"])
def test_every_byte_order_and_resolution_gives_the_same(path: Path, order: str, magic: int) -> None:
    piece = read_one(path, pcap(PACKETS, order=order, magic=magic))
    assert piece.sequence.tolist() == [0, 1, 2, 3, 4]
    assert piece.number.tolist() == [1, 2, 3, 4, 5]
    assert piece.time.tolist() == [(SECONDS + number) * 10**9 + NANOS for number in range(5)]
    assert set(piece.interface.tolist()) == {0}


def test_the_interface_has_the_name_of_the_file(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "v1.tether.pcap.gz"
    reading = read_captures([path, other])
    for one in (path, other):
        one.write_bytes(pcap(PACKETS))
    pieces = list(reading)
    assert reading.interfaces == ["wlan1", "v1.tether"]
    assert [(piece.file, set(piece.interface.tolist())) for piece in pieces] == [(0, {0}), (1, {1})]
    assert (reading.packets, reading.segments) == (10, 10)


def test_what_is_not_tcp_counts_as_a_packet_and_keeps_its_number(path: Path) -> None:
    (piece,), reading = read(path, pcap([ipv4(bytes(8), kind=17), PACKETS[0], ipv6(bytes(8), kind=17), PACKETS[1]]))
    assert piece.number.tolist() == [2, 4]
    assert (reading.packets, reading.segments, reading.warnings) == (4, 2, [])


def test_octets_that_the_capture_cut_off_count_as_carried(path: Path) -> None:
    piece = read_one(path, pcap([ipv4(tcp(payload=bytes(1000)))], snap_length=60))
    assert (piece.payload.tolist(), piece.captured.tolist()) == ([1000], [20])


def test_the_payload_can_be_found(path: Path) -> None:
    piece = read_one(path, pcap([PACKETS[0], ipv4(tcp(payload=b"hello"))]))
    at, size = piece.payload_at[1], piece.captured[1]
    assert piece.octets[at : at + size].tobytes() == b"hello"


def test_a_file_without_packets_is_none_to_warn_of(path: Path) -> None:
    pieces, reading = read(path, pcap([]))
    assert (pieces, reading.warnings, reading.interfaces) == ([], [], ["wlan1"])


class TestDamage:
    def test_a_file_that_ends_early_is_read_as_far_as_it_goes(self, path: Path) -> None:
        for length in range(24, 24 + 2 * RECORD + 1):
            pieces, reading = read(path, pcap(PACKETS)[:length])
            whole, rest = divmod(length - 24, RECORD)
            assert [number for piece in pieces for number in piece.sequence.tolist()] == list(range(whole))
            assert reading.warnings == ([f"{path}: it ends within packet {whole + 1}"] if rest else [])

    def test_a_file_that_ends_within_its_header_has_no_packets(self, path: Path) -> None:
        for length in range(4, 24):
            pieces, reading = read(path, pcap(PACKETS)[:length])
            assert (pieces, reading.warnings) == ([], [f"{path}: it ends within its header"])

    @pytest.mark.parametrize("length", [262_145, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
    def test_an_impossible_length_ends_the_reading_and_is_told(self, path: Path, length: int) -> None:
        octets = bytearray(pcap(PACKETS))
        at = 24 + 2 * RECORD
        struct.pack_into("<I", octets, at + 8, length)
        (piece,), reading = read(path, bytes(octets))
        assert piece.sequence.tolist() == [0, 1]
        (warning,) = reading.warnings
        assert f"{path}: packet 3, at octet {at}, has a length of {length} octets" in warning

    def test_a_tail_of_zeros_is_told_and_not_taken_for_packets(self, path: Path) -> None:
        (piece,), reading = read(path, pcap(PACKETS) + bytes(4096))
        assert (len(piece), reading.packets) == (5, 5)
        assert "packet 6, at octet 304, has nothing but zeros" in reading.warnings[0]

    def test_fractions_and_lengths_that_cannot_be_are_told(self, path: Path) -> None:
        octets = bytearray(pcap(PACKETS))
        struct.pack_into("<I", octets, 24 + RECORD + 4, 1_000_000)
        struct.pack_into("<I", octets, 24 + 3 * RECORD + 12, 3)
        (piece,), reading = read(path, bytes(octets))
        assert len(piece) == 5
        assert reading.warnings[0].startswith(f"{path}: packet 2 (and 1 more) has an impossible time or length")

    def test_a_link_layer_that_is_not_known_is_named(self, path: Path) -> None:
        pieces, reading = read(path, pcap(PACKETS, link=105))
        assert (pieces, reading.packets) == ([], 5)
        assert reading.warnings == [
            f"{path}: packet 1 (and 4 more) is of a link layer that is not understood, and left out: LINKTYPE 105"
        ]

    def test_the_length_of_frame_check_sequences_is_no_part_of_the_link_type(self, path: Path) -> None:
        assert len(read_one(path, pcap(PACKETS, link=101 | 0x24000000))) == 5


class TestRefused:
    @pytest.mark.parametrize("octets", [b"", b"\xd4", b"GET / HTTP/1.1\r\n\r\n12345678", bytes(100)])
    def test_what_is_no_capture(self, path: Path, octets: bytes) -> None:
        with pytest.raises(BadInputError, match=r"wlan1.pcap is not a capture file"):
            read(path, octets)

    def test_a_file_that_is_not_there(self, path: Path) -> None:
        with pytest.raises(BadInputError, match="cannot be read"):
            read(path)

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_the_modified_format_by_its_name(self, path: Path, order: str) -> None:
        with pytest.raises(BadInputError) as refused:
            read(path, pcap(PACKETS, order=order, magic=0xA1B2CD34))
        assert "Kuznetzov" in refused.value.why


def test_a_packet_longer_than_a_piece_is_read(path: Path) -> None:
    packets = [PACKETS[0], ipv4(tcp(payload=bytes(5000))), PACKETS[1]]
    pieces, reading = read(path, pcap(packets), piece_octets=64)
    assert [piece.payload.tolist() for piece in pieces] == [[0], [5000], [0]]
    assert reading.warnings == []
