"""The columns are what tshark says of each packet."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from tests.traces.conftest import CAPTURES, MORE_CAPTURES
from tests.traces.reading.files import enhanced, interface, option, section
from tests.traces.reading.packets import DSS, LINKS, TIMESTAMPS, ipv4, ipv6, tcp
from traces.reading.reading import read_captures
from traces.reading.segments import Segments

FIELDS = (
    "frame.number", "frame.time_epoch", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "ip.ttl", "ipv6.hlim",
    "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.window_size_value", "tcp.len",
    "tcp.options.mptcp.subtype", "tcp.options",
)  # fmt: skip
# What it makes of sequence numbers and of the data in the segments is not compared, and takes most of its time.
PREFERENCES = ("tcp.analyze_sequence_numbers:FALSE", "tcp.desegment_tcp_streams:FALSE", "mptcp.analyze_mappings:FALSE")
FILE_HEADER = 24


def tshark(path: Path) -> list[list[str]]:
    """The fields of each TCP segment."""
    command = ["tshark", "-n", "-r", str(path), "-Y", "tcp", "-T", "fields"]
    command += [part for preference in PREFERENCES for part in ("-o", preference)]
    command += [part for field in FIELDS for part in ("-e", field)]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [line.split("\t") for line in told.splitlines()]


def told_by_us(pieces: Iterable[Segments]) -> list[list[str]]:
    """The same fields in the same form, but for the options: of MPTCP ones only the subtypes."""
    return [row(piece, number) for piece in pieces for number in range(len(piece))]


def row(piece: Segments, at: int) -> list[str]:
    is_ipv4 = piece.family[at] == 4
    addresses = []
    for halves in (piece.source[at].tolist(), piece.destination[at].tolist()):
        address = IPv4Address(halves[1] & 0xFFFFFFFF) if is_ipv4 else IPv6Address(halves[0] << 64 | halves[1])
        addresses += [str(address), ""] if is_ipv4 else ["", str(address)]
    hops = str(piece.hop_limit[at])
    return [
        str(piece.number[at]),
        f"{piece.time[at] // 10**9}.{piece.time[at] % 10**9:09d}",
        *addresses,
        *([hops, ""] if is_ipv4 else ["", hops]),
        *(str(column[at]) for column in (
            piece.source_port, piece.destination_port, piece.sequence, piece.acknowledgement
        )),
        f"0x{piece.flags[at]:04x}",
        str(piece.window[at]),
        str(piece.payload[at]),
        ",".join(str(subtype) for subtype in piece.mptcp.subtype[piece.mptcp.row == at]),
    ]  # fmt: skip


def check(path: Path) -> None:
    reading = read_captures([path], piece_packets=500)
    pieces = list(reading)
    theirs = tshark(path)
    assert told_by_us(pieces) == [fields[:-1] for fields in theirs]
    options = {int(fields[0]): fields[-1] for fields in theirs}
    for piece in pieces:
        found = piece.mptcp
        for number, length, octets in zip(piece.number[found.row].tolist(), found.length, found.octets, strict=True):
            assert octets[:length].tobytes().hex() in options[number]
        for number, length, octets in zip(
            piece.number[piece.syn.row].tolist(), piece.syn.length, piece.syn.octets, strict=True
        ):
            assert octets[:length].tobytes().hex() == options[number]


@pytest.mark.slow
def test_of_every_reference_capture(tmp_path: Path) -> None:
    """All one after the other in one file, since tshark takes long to begin: they have the same header."""
    files = sorted(CAPTURES.glob("*/*.pcap"))
    together = tmp_path / "all.pcap"
    together.write_bytes(
        files[0].read_bytes()[:FILE_HEADER] + b"".join(file.read_bytes()[FILE_HEADER:] for file in files)
    )
    check(together)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["seed", "tcpdump"])
def test_of_captures_that_do_not_come_with_the_sources(folder: str) -> None:
    files = sorted((MORE_CAPTURES / folder).glob("*.pcap"))
    if not files:
        pytest.skip(f"no captures in {MORE_CAPTURES / folder}")
    for file in files:
        check(file)


@pytest.mark.slow
def test_of_every_link_layer_and_header_made_by_hand(tmp_path: Path) -> None:
    packets = [
        ipv4(tcp(options=TIMESTAMPS + DSS, payload=b"hello")),
        ipv4(tcp(flags=0x1AC), options=bytes((1, 1, 1, 0))),
        ipv6(tcp(options=DSS, payload=b"hello")),
        ipv6(tcp(flags=2), extensions=[(0, bytes(8)), (60, bytes(8)), (43, bytes(8))]),
    ]
    described, blocks = b"", b""
    links = [link for name, link in LINKS.items() if name != "null on Linux"]  # tshark knows BSD's AF_INET6 only
    for number, (link, wrap) in enumerate(links):
        described += interface("<", option("<", 9, bytes((9,))), link=link)
        blocks += b"".join(enhanced(wrap(packet), of=number, ticks=number * 10**12 + 1) for packet in packets)
    (tmp_path / "c.pcapng").write_bytes(section() + described + blocks)
    check(tmp_path / "c.pcapng")
