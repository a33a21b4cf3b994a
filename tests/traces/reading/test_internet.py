"""IPv4 and IPv6: options, extension headers, fragments, packets that the network card was yet to cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.traces.reading.files import pcap, read, read_one
from tests.traces.reading.packets import CLIENT, CLIENT_V6, SERVER, SERVER_V6, ethernet, ipv4, ipv6, tcp
from tests.traces.reading.rows import read_segments

HELLO = tcp(payload=b"hello")
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, NO_NEXT, DESTINATION, MOBILITY = 0, 43, 44, 51, 59, 60, 135
MORE = 0x2000
EIGHT, SIXTEEN = bytes(8), b"\0\1" + bytes(14)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.pcap"


def test_addresses_of_both_versions(path: Path) -> None:
    path.write_bytes(pcap([ipv4(HELLO), ipv6(HELLO)]))
    first, second = read_segments(path)
    assert (str(first.source[0]), str(first.destination[0])) == (CLIENT, SERVER)
    assert (str(second.source[0]), str(second.destination[0])) == (CLIENT_V6, SERVER_V6)
    assert (first.ttl, second.ttl) == (63, 62)


def test_an_ipv4_address_is_mapped(path: Path) -> None:
    assert read_one(path, pcap([ipv4(HELLO)])).source.tolist() == [[0, 0xFFFF_C000_0201]]


@pytest.mark.parametrize("size", range(4, 44, 4))
def test_ipv4_options_are_stepped_over(path: Path, size: int) -> None:
    assert read_one(path, pcap([ipv4(HELLO, options=bytes(size))])).payload.tolist() == [5]


@pytest.mark.parametrize(
    "extensions",
    [
        [(HOP_BY_HOP, EIGHT)],
        [(ROUTING, SIXTEEN)],
        [(DESTINATION, b"\0\xff" + bytes(2046))],
        [(AUTHENTICATION, b"\0\4" + bytes(22))],
        [(MOBILITY, EIGHT)],
        [(HOP_BY_HOP, EIGHT), (DESTINATION, SIXTEEN), (ROUTING, EIGHT), (FRAGMENT, EIGHT), (DESTINATION, EIGHT)],
    ],
    ids=lambda extensions: ",".join(str(kind) for kind, _header in extensions),
)
def test_ipv6_extension_headers_are_stepped_over(path: Path, extensions: list[tuple[int, bytes]]) -> None:
    plain = ipv6(HELLO)
    piece = read_one(path, pcap([plain, ipv6(HELLO, extensions=extensions), plain]))
    assert piece.payload.tolist() == [5, 5, 5]
    assert piece.source_port.tolist() == [40000] * 3


def test_a_packet_that_ends_within_its_extension_headers_is_told(path: Path) -> None:
    packet = ipv6(HELLO, extensions=[(HOP_BY_HOP, EIGHT), (DESTINATION, SIXTEEN)])
    for kept in range(40, 40 + 24):
        pieces, reading = read(path, pcap([packet[:kept]]))
        assert pieces == []
        assert reading.warnings == [f"{path}: packet 1 ends within its headers: left out"]


def test_nothing_follows_where_the_header_says_so(path: Path) -> None:
    pieces, reading = read(
        path, pcap([ipv6(HELLO, kind=NO_NEXT), ipv6(HELLO, extensions=[(DESTINATION, EIGHT)], kind=17)])
    )
    assert (pieces, reading.warnings) == ([], [])


def test_extension_headers_without_end_are_passed_over(path: Path) -> None:
    pieces, _reading = read(path, pcap([ipv6(HELLO, extensions=[(DESTINATION, EIGHT)] * 40)]))
    assert pieces == []


class TestFragments:
    @pytest.mark.parametrize("offset", [1, 185, 0x1FFF, MORE | 185])
    def test_later_ones_of_ipv4_are_left_out_and_told(self, path: Path, offset: int) -> None:
        packets = [
            ipv4(HELLO, fragment=MORE),
            ipv4(bytes(30), fragment=offset),
            ipv4(bytes(30), fragment=offset, kind=17),
        ]
        (piece,), reading = read(path, pcap(packets))
        assert piece.number.tolist() == [1]
        assert reading.warnings == [f"{path}: packet 2 is a later fragment of an IP packet: left out"]

    def test_so_are_those_of_ipv6(self, path: Path) -> None:
        first, later = b"\0\0\0\x01" + bytes(4), b"\0\0\x05\x01" + bytes(4)
        packets = [ipv6(HELLO, extensions=[(FRAGMENT, kind)]) for kind in (first, later)]
        (piece,), reading = read(path, pcap(packets))
        assert piece.number.tolist() == [1]
        assert reading.warnings == [f"{path}: packet 2 is a later fragment of an IP packet: left out"]


class TestLengths:
    @pytest.mark.parametrize("packet", [ipv4(HELLO, length=0), ipv6(HELLO, length=0)], ids=["IPv4", "IPv6"])
    @pytest.mark.parametrize("snap_length", [65535, 80])
    def test_a_packet_that_is_yet_to_be_cut_is_as_long_as_the_frame(
        self, path: Path, packet: bytes, snap_length: int
    ) -> None:
        """Captured on the machine that sends, before segmentation in the network card: the length is 0."""
        long = ethernet(packet + bytes(60_000))
        piece = read_one(path, pcap([long], link=1, snap_length=snap_length))
        assert piece.payload.tolist() == [60_005]

    def test_the_padding_of_short_frames_is_no_payload(self, path: Path) -> None:
        piece = read_one(path, pcap([ethernet(ipv4(tcp())) + bytes(6)], link=1))
        assert (piece.payload.tolist(), piece.captured.tolist()) == ([0], [0])

    @pytest.mark.parametrize(
        "packet",
        [
            ipv4(HELLO, length=12),
            ipv4(HELLO, length=39),
            b"\x44" + ipv4(HELLO)[1:],
            ipv6(HELLO, length=19),
            ipv4(HELLO[:12] + b"\x40" + HELLO[13:]),
            ipv4(HELLO[:12] + b"\xf0" + HELLO[13:]),
        ],
        ids=[
            "below the IP header",
            "below the TCP header",
            "IP header of 16",
            "IPv6",
            "TCP header of 16",
            "TCP beyond",
        ],
    )
    def test_those_that_cannot_be_are_told(self, path: Path, packet: bytes) -> None:
        (piece,), reading = read(path, pcap([packet, ipv4(HELLO)]))
        assert piece.number.tolist() == [2]
        assert reading.warnings == [f"{path}: packet 1 has IP or TCP header lengths that cannot be: left out"]

    @pytest.mark.parametrize("kind", [0x0800, 0x86DD])
    def test_so_is_another_version_than_the_frame_says(self, path: Path, kind: int) -> None:
        packet = ipv6(HELLO) if kind == 0x0800 else ipv4(HELLO, options=bytes(20))
        pieces, reading = read(path, pcap([bytes(12) + kind.to_bytes(2) + packet], link=1))
        assert pieces == []
        assert "header lengths that cannot be" in reading.warnings[0]
