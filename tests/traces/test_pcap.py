"""Reading TCP segments out of captures, whole and cut."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from lab.errors import MpsocksError
from tests.traces.conftest import capture, further_capture
from tests.traces.pcap_files import (
    COOKED_V1,
    COOKED_V2,
    ETHERNET,
    MICROSECONDS,
    NANOSECONDS,
    RAW,
    RAW_BSD,
    tcp_packet,
    write_pcap,
)
from traces.pcap import Segment, read_segments

HELLO = tcp_packet("192.0.2.1/40000", "198.51.100.8/80", flags=0x18, options=bytes(4), payload=b"hello")
HELLO_V6 = tcp_packet("2001:db8::1/40000", "2001:db8::8/80", flags=0x02)


def segments(path: Path) -> list[Segment]:
    return list(read_segments(path))


@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
@pytest.mark.parametrize("magic", [MICROSECONDS, NANOSECONDS], ids=["microseconds", "nanoseconds"])
@pytest.mark.parametrize("link", [ETHERNET, RAW, RAW_BSD, COOKED_V1, COOKED_V2])
def test_every_format_gives_the_same_segments(tmp_path: Path, order: str, magic: int, link: int) -> None:
    path = write_pcap(tmp_path / "c.pcap", [HELLO, HELLO_V6], order=order, magic=magic, link=link)
    first, second = segments(path)
    assert first == Segment(
        source=(ip_address("192.0.2.1"), 40000),
        destination=(ip_address("198.51.100.8"), 80),
        ttl=64,
        flags=0x18,
        options=bytes(4),
        payload=5,
    )
    assert second.source == (ip_address("2001:db8::1"), 40000)
    assert (second.is_syn, second.is_syn_ack, second.payload, second.ttl) == (True, False, 0, 64)


def test_octets_that_the_capture_cut_off_count_as_carried(tmp_path: Path) -> None:
    packet = tcp_packet("192.0.2.1/1", "192.0.2.2/2", payload=bytes(1000))
    (segment,) = segments(write_pcap(tmp_path / "c.pcap", [packet], snap_length=60))
    assert segment.payload == 1000


@pytest.mark.parametrize("snap_length", range(1, 45))
def test_a_packet_that_is_cut_within_its_headers_is_left_out(tmp_path: Path, snap_length: int) -> None:
    packet = tcp_packet("192.0.2.1/1", "192.0.2.2/2", options=bytes(4), payload=b"x")
    found = segments(write_pcap(tmp_path / "c.pcap", [packet, HELLO_V6], snap_length=snap_length))
    assert len(found) == (1 if snap_length >= 44 else 0)


@pytest.mark.parametrize("other", [b"", bytes(28), b"\x45" + bytes(19), b"\x60" + bytes(39), b"\xff" * 60])
def test_what_is_not_tcp_is_left_out(tmp_path: Path, other: bytes) -> None:
    assert len(segments(write_pcap(tmp_path / "c.pcap", [other, HELLO]))) == 1


def test_a_capture_whose_writer_was_killed_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = capture("v1/v1_single.wlan.pcap").read_bytes()
    everything = segments(capture("v1/v1_single.wlan.pcap"))
    cut = tmp_path / "cut.pcap"
    for length in range(24, len(whole), 97):
        cut.write_bytes(whole[:length])
        found = segments(cut)
        assert found == everything[: len(found)]


@pytest.mark.parametrize("octets", [b"", b"\n\r\r\n", b"GET / HTTP/1.1\r\n\r\n12345678"])
def test_what_is_no_pcap_file_is_refused(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "c.pcap").write_bytes(octets)
    with pytest.raises(MpsocksError, match="is not a pcap file"):
        segments(tmp_path / "c.pcap")


@pytest.mark.parametrize("length", [4, 20, 23])
def test_a_file_that_ends_within_its_header_is_refused(tmp_path: Path, length: int) -> None:
    (tmp_path / "c.pcap").write_bytes(capture("v1/v1_single.wlan.pcap").read_bytes()[:length])
    with pytest.raises(MpsocksError, match="is not a pcap file"):
        segments(tmp_path / "c.pcap")


def test_a_link_type_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(MpsocksError, match="link type 105"):
        segments(write_pcap(tmp_path / "c.pcap", [HELLO], link=105))


@pytest.mark.parametrize(
    ("name", "syn_ttl", "syn_ack_ttl"),
    [("nomptcp_ttl10", 9, 124), ("mptcp_ttl10", 9, None), ("mptcp_ttl64", 63, 51)],
)
def test_the_origins_captures_show_the_box_that_answers_plain_tcp(
    name: str, syn_ttl: int, syn_ack_ttl: int | None
) -> None:
    found = segments(further_capture(f"seed/{name}.pcap"))
    assert {segment.ttl for segment in found if segment.is_syn} == {syn_ttl}
    assert {segment.ttl for segment in found if segment.is_syn_ack} == ({syn_ack_ttl} if syn_ack_ttl else set())


def test_a_malformed_option_does_not_stop_the_reader() -> None:
    assert len(segments(further_capture("tcpdump/mptcp-dss-oobr.pcap"))) == 1
