"""Link layers: what comes before the IP header."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.traces.reading.files import pcap, read, read_one
from tests.traces.reading.packets import LINKS, ethernet, ipv4, ipv6, ppp_protocol, tcp
from traces.reading.reading import read_captures

EVERY_LINK = pytest.mark.parametrize("link", LINKS)
HELLO, HELLO_V6 = ipv4(tcp(payload=b"hello")), ipv6(tcp(payload=b"hello"))


@EVERY_LINK
def test_segments_are_the_same_over_each(tmp_path: Path, link: str) -> None:
    number, wrap = LINKS[link]
    piece = read_one(tmp_path / "c.pcap", pcap([wrap(HELLO), wrap(HELLO_V6)], link=number))
    assert piece.family.tolist() == [4, 6]
    assert piece.source_port.tolist() == [40000, 40000]
    assert piece.payload.tolist() == piece.captured.tolist() == [5, 5]
    assert all(piece.octets[at : at + 5].tobytes() == b"hello" for at in piece.payload_at)


@EVERY_LINK
def test_a_packet_cut_anywhere_in_its_headers_is_left_out_and_told(tmp_path: Path, link: str) -> None:
    number, wrap = LINKS[link]
    packet = wrap(HELLO)
    for kept in range(1, len(packet) - 5):
        pieces, reading = read(tmp_path / "c.pcap", pcap([wrap(HELLO), packet[:kept], wrap(HELLO)], link=number))
        assert [piece.number.tolist() for piece in pieces] == [[1, 3]], kept
        assert reading.warnings == [f"{tmp_path}/c.pcap: packet 2 ends within its headers: left out"], kept


@pytest.mark.parametrize(("number", "packet"), [(228, HELLO), (229, HELLO_V6)], ids=["IPv4", "IPv6"])
def test_links_of_one_version_only(tmp_path: Path, number: int, packet: bytes) -> None:
    assert read_one(tmp_path / "c.pcap", pcap([packet], link=number)).payload.tolist() == [5]


@pytest.mark.parametrize(
    ("number", "packet"),
    [
        (1, ethernet(HELLO)[:12] + b"\x08\x06" + bytes(28)),
        (1, ethernet(HELLO)[:12] + b"\x00\x20\xaa\xaa\x03" + bytes(29)),
        (9, b"\xff\x03\xc0\x21" + bytes(10)),
        (0, b"\x1b\0\0\0" + HELLO),
        (101, b"\xf0" + HELLO[1:]),
    ],
    ids=["ARP", "IEEE 802.3", "PPP control", "another family", "another version"],
)
def test_what_is_not_ip_is_passed_over(tmp_path: Path, number: int, packet: bytes) -> None:
    pieces, reading = read(tmp_path / "c.pcap", pcap([packet], link=number))
    assert (pieces, reading.packets, reading.warnings) == ([], 1, [])


def test_of_a_link_that_is_not_known_one_can_say_where_ip_begins(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap([bytes(7) + HELLO, bytes(7) + HELLO_V6, bytes(5)], link=147))
    reading = read_captures([path], link_header=7)
    (piece,) = reading
    assert piece.family.tolist() == [4, 6]
    assert piece.payload.tolist() == piece.captured.tolist() == [5, 5]
    assert reading.warnings == [f"{path}: packet 3 ends within its headers: left out"]


def test_tags_without_end_are_passed_over(tmp_path: Path) -> None:
    pieces, _reading = read(tmp_path / "c.pcap", pcap([ethernet(HELLO, *[0x8100] * 20)], link=1))
    assert pieces == []


def test_a_header_of_ppp_is_not_taken_for_the_packet(tmp_path: Path) -> None:
    piece = read_one(tmp_path / "c.pcap", pcap([ppp_protocol(HELLO) + HELLO], link=9))
    assert piece.hop_limit.tolist() == [63]
