"""pcapng files: sections, interfaces, the three kinds of packet blocks, and damage."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.traces.reading.files import block, enhanced, interface, obsolete, option, read, read_one, section, simple
from tests.traces.reading.packets import ethernet, ipv4, tcp

ORDERS = pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
NAME, RESOLUTION, OFFSET = 2, 9, 14
PACKET = ipv4(tcp(payload=b"hello"))
TICKS = 1_700_000_000_123_456
UNKNOWN, CUSTOM, NAMES, STATISTICS = 0x0B0C0D0E, 0xBAD, 4, 5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.pcapng"


@ORDERS
class TestPacketBlocks:
    def test_enhanced_ones(self, path: Path, order: str) -> None:
        piece = read_one(path, section(order) + interface(order) + enhanced(PACKET, order, ticks=TICKS))
        assert piece.time.tolist() == [TICKS * 1000]
        assert piece.octets[piece.payload_at[0] :][:5].tobytes() == b"hello"

    def test_obsolete_ones(self, path: Path, order: str) -> None:
        blocks = obsolete(PACKET, order, of=1, drops=7, ticks=TICKS)
        piece = read_one(path, section(order) + interface(order, link=1) + interface(order) + blocks)
        assert (piece.time.tolist(), piece.interface.tolist()) == ([TICKS * 1000], [1])
        assert piece.captured.tolist() == [5]

    def test_simple_ones_have_no_time_and_the_first_interface(self, path: Path, order: str) -> None:
        octets = section(order) + interface(order) + interface(order, link=1) + simple(PACKET, order)
        (piece,), reading = read(path, octets)
        assert (piece.captured.tolist(), piece.time.tolist(), piece.interface.tolist()) == ([5], [0], [0])
        assert reading.warnings == [f"{path}: packet 1 has no time: taken as 1970"]

    def test_simple_ones_are_as_long_as_the_snap_length_lets_them(self, path: Path, order: str) -> None:
        cut = simple(PACKET[:44], order, length=len(PACKET) + 900)
        (piece,), _reading = read(path, section(order) + interface(order, snap_length=44) + cut)
        assert (piece.payload.tolist(), piece.captured.tolist()) == ([5], [4])

    def test_others_are_passed_over(self, path: Path, order: str) -> None:
        others = [block(order, kind, bytes(20)) for kind in (UNKNOWN, CUSTOM, NAMES, STATISTICS)]
        octets = section(order) + others[0] + interface(order) + b"".join(others) + enhanced(PACKET, order) + others[3]
        assert read_one(path, octets).number.tolist() == [1]


@ORDERS
class TestTime:
    @pytest.mark.parametrize(
        ("resolution", "ticks", "nanoseconds"),
        [
            (None, 1_500_000, 1_500_000_000),
            (0, 3, 3_000_000_000),
            (3, 1_500, 1_500_000_000),
            (6, 1_500_000, 1_500_000_000),
            (9, 1_500_000_001, 1_500_000_001),
            (12, 1_500_000_001_999, 1_500_000_001),
            (40, 1 << 63, 0),
            (0x80 | 1, 3, 1_500_000_000),
            (0x80 | 20, 3 << 19, 1_500_000_000),
            (0x80 | 30, 3 << 29, 1_500_000_000),
            (0x80 | 50, (3 << 49) + 1, 1_500_000_000),
            (0x80 | 63, 3 << 62, 1_500_000_000),
            (0x80 | 127, 3 << 62, 0),
        ],
    )
    def test_counts_in_the_units_of_the_interface(
        self, path: Path, order: str, resolution: int | None, ticks: int, nanoseconds: int
    ) -> None:
        options = [] if resolution is None else [option(order, RESOLUTION, bytes((resolution,)))]
        octets = section(order) + interface(order, *options) + enhanced(PACKET, order, ticks=ticks)
        assert read_one(path, octets).time.tolist() == [nanoseconds]

    @pytest.mark.parametrize("offset", [1_700_000_000, -1])
    def test_is_moved_by_the_offset_of_the_interface(self, path: Path, order: str, offset: int) -> None:
        options = option(order, OFFSET, struct.pack(f"{order}q", offset))
        octets = section(order) + interface(order, options) + enhanced(PACKET, order, ticks=5_000_000)
        assert read_one(path, octets).time.tolist() == [(offset + 5) * 10**9]

    def test_each_interface_has_units_of_its_own(self, path: Path, order: str) -> None:
        nano = interface(order, option(order, RESOLUTION, b"\x09"))
        packets = [enhanced(PACKET, order, of=of, ticks=1000) for of in (0, 1, 0)]
        assert read_one(path, section(order) + interface(order) + nano + b"".join(packets)).time.tolist() == [
            1_000_000, 1000, 1_000_000
        ]  # fmt: skip


class TestInterfaces:
    def test_have_the_names_that_the_file_gives(self, path: Path) -> None:
        described = interface("<", option("<", NAME, b"wlp1s0")) + interface("<", option("<", NAME, "wlän1\0".encode()))
        pieces, reading = read(path, section() + described + enhanced(PACKET, of=1) + enhanced(PACKET, of=0))
        assert reading.interfaces == ["wlp1s0", "wlän1"]
        assert pieces[0].interface.tolist() == [1, 0]

    def test_have_the_name_of_the_file_where_it_gives_none(self, path: Path) -> None:
        _pieces, reading = read(path, section() + interface() + enhanced(PACKET))
        assert reading.interfaces == ["run"]

    def test_two_of_a_section_with_one_name_are_two(self, path: Path) -> None:
        named = interface("<", option("<", NAME, b"lo"))
        pieces, reading = read(path, section() + named + named + enhanced(PACKET) + enhanced(PACKET, of=1))
        assert (pieces[0].interface.tolist(), reading.interfaces) == ([0, 1], ["lo", "lo"])

    def test_may_have_different_link_layers(self, path: Path) -> None:
        octets = section() + interface(link=1) + interface() + enhanced(ethernet(PACKET)) + enhanced(PACKET, of=1)
        assert read_one(path, octets).payload.tolist() == [5, 5]

    def test_may_be_described_between_the_packets(self, path: Path) -> None:
        octets = section() + interface() + enhanced(PACKET) + interface(link=1) + enhanced(ethernet(PACKET), of=1)
        assert len(read_one(path, octets)) == 2

    def test_a_packet_of_none_that_is_described_is_left_out(self, path: Path) -> None:
        octets = section() + interface() + enhanced(PACKET) + enhanced(PACKET, of=1) + enhanced(PACKET)
        (piece,), reading = read(path, octets)
        assert piece.number.tolist() == [1, 3]
        assert reading.warnings == [f"{path}: packet 2 is of an interface that the file does not describe: left out"]

    def test_options_that_stick_out_are_not_read(self, path: Path) -> None:
        described = block("<", 1, struct.pack("<HHI", 101, 0, 0) + struct.pack("<HH", NAME, 600) + b"wlan")
        _pieces, reading = read(path, section() + described + enhanced(PACKET))
        assert reading.interfaces == ["run"]


class TestSections:
    def test_each_has_its_byte_order_and_its_interfaces(self, path: Path) -> None:
        first = section("<") + interface("<", option("<", NAME, b"wlp1s0"), link=1) + enhanced(ethernet(PACKET), "<")
        second = section(">") + interface(">", option(">", NAME, b"wlan1")) + enhanced(PACKET, ">", ticks=TICKS)
        pieces, reading = read(path, first + second + first)
        assert [name for piece in pieces for name in piece.interface.tolist()] == [0, 1, 0]
        assert [number for piece in pieces for number in piece.number.tolist()] == [1, 2, 3]
        assert (reading.interfaces, reading.warnings) == (["wlp1s0", "wlan1"], [])

    def test_very_many_are_read_in_one_go(self, path: Path) -> None:
        """As of files that were put one behind the other: a look at what is in memory for each would take forever."""
        names = (b"wlp1s0", b"wlan1")
        parts = [section() + interface("<", option("<", NAME, name)) + enhanced(PACKET) for name in names]
        (piece,), reading = read(path, b"".join(parts) * 100)
        assert piece.interface.tolist() == [0, 1] * 100
        assert piece.number.tolist() == list(range(1, 201))
        assert (reading.packets, reading.interfaces, reading.warnings) == (200, ["wlp1s0", "wlan1"], [])

    def test_one_without_a_byte_order_ends_the_reading(self, path: Path) -> None:
        broken = bytearray(section())
        broken[8:12] = b"abcd"
        start = section() + interface() + enhanced(PACKET)
        pieces, reading = read(path, start + bytes(broken) + start)
        assert len(pieces) == 1
        assert reading.warnings == [
            f"{path}: the section header at octet {len(start)} has no byte order: nothing behind it is read"
        ]


class TestDamage:
    START = section() + interface()
    ONE = enhanced(PACKET)

    def test_a_file_that_ends_early_is_read_as_far_as_it_goes(self, path: Path) -> None:
        whole = self.START + 3 * self.ONE
        for missing in range(1, 2 * len(self.ONE)):
            pieces, reading = read(path, whole[: len(whole) - missing])
            kept, rest = divmod(3 * len(self.ONE) - missing, len(self.ONE))
            assert sum(len(piece) for piece in pieces) == kept
            assert reading.warnings == ([f"{path}: it ends within the block behind packet {kept}"] if rest else [])

    @pytest.mark.parametrize("length", [0, 4, 11, 0x01000001, 0xFFFFFFFF])
    def test_a_length_that_cannot_be_ends_the_reading(self, path: Path, length: int) -> None:
        broken = self.ONE[:4] + struct.pack("<I", length) + self.ONE[8:]
        pieces, reading = read(path, self.START + self.ONE + broken + self.ONE)
        assert sum(len(piece) for piece in pieces) == 1
        at = len(self.START + self.ONE)
        assert f"{path}: the block at octet {at}, behind packet 1, is damaged" in reading.warnings[0]

    def test_so_does_one_that_the_end_of_the_block_does_not_repeat(self, path: Path) -> None:
        broken = self.ONE[:-4] + struct.pack("<I", 44)
        pieces, reading = read(path, self.START + self.ONE + broken + self.ONE)
        assert sum(len(piece) for piece in pieces) == 1
        assert "is damaged" in reading.warnings[0]

    def test_a_packet_longer_than_its_block_is_left_out(self, path: Path) -> None:
        broken = bytearray(self.ONE)
        struct.pack_into("<I", broken, 20, 9999)
        (piece,), reading = read(path, self.START + bytes(broken) + self.ONE)
        assert piece.number.tolist() == [2]
        assert reading.warnings[0] == f"{path}: packet 1 is longer than the block that holds it: left out"

    def test_an_interface_description_that_is_cut_short_has_no_link_layer(self, path: Path) -> None:
        pieces, reading = read(path, section() + block("<", 1, b"") + self.ONE)
        assert pieces == []
        assert "LINKTYPE 65535" in reading.warnings[0]

    @pytest.mark.slow
    def test_more_interfaces_than_can_be_told_apart_are_no_error(self, path: Path) -> None:
        (piece,), reading = read(path, section() + interface() * 65_540 + enhanced(PACKET, of=65_539))
        assert (len(piece), len(reading.interfaces)) == (1, 65_536)
