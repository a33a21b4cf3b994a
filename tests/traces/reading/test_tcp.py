"""TCP headers and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.traces.reading.files import pcap, read, read_one
from tests.traces.reading.packets import DSS, TIMESTAMPS, ipv4, ipv6, tcp
from traces.reading.options import find_mptcp
from traces.reading.segments import LONGEST_OPTIONS, Segments

CAPABLE = bytes((30, 12, 0x01, 0x81)) + bytes(range(8))
SYN_OPTIONS = bytes((2, 4, 5, 180, 4, 2, 8, 10)) + bytes(8) + bytes((1, 3, 3, 7)) + CAPABLE
FASTCLOSE_AND_RST = bytes((30, 12, 0x70, 0)) + bytes(8) + bytes((30, 4, 0x80, 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.pcap"


def mptcp(piece: Segments) -> list[tuple[int, int, bytes]]:
    """Row, subtype and octets of each MPTCP option; what is behind the octets is zero."""
    found = piece.mptcp
    assert not any(octets[length:].any() for octets, length in zip(found.octets, found.length, strict=True))
    return [
        (int(row), int(subtype), octets[:length].tobytes())
        for row, subtype, length, octets in zip(found.row, found.subtype, found.length, found.octets, strict=True)
    ]


def test_every_field(path: Path) -> None:
    piece = read_one(path, pcap([ipv4(tcp(flags=0x1AC, payload=b"hello", sequence=0xFFFFFFFE, ports=(65535, 1)))]))
    assert (piece.source_port[0], piece.destination_port[0]) == (65535, 1)
    assert (piece.sequence[0], piece.acknowledgement[0]) == (0xFFFFFFFE, 0xFFFFFFFF)
    assert (piece.flags[0], piece.window[0]) == (0x1AC, 512)


def test_the_senders_clock_and_the_number_of_the_packet(path: Path) -> None:
    other = bytes((8, 10)) + bytes(8) + bytes((1, 1))
    piece = read_one(
        path, pcap([ipv4(tcp(options=TIMESTAMPS + DSS)), ipv4(tcp()), ipv4(tcp(options=other)), ipv6(tcp())])
    )
    assert piece.timestamp.tolist() == [0x00010203, 0, 0, 0]
    assert piece.identification.tolist() == [7, 7, 7, 0]


def test_columns_have_the_types_that_are_promised(path: Path) -> None:
    piece = read_one(path, pcap([ipv4(tcp(options=TIMESTAMPS + DSS)), ipv4(tcp(flags=2, options=SYN_OPTIONS))]))
    types: dict[type, tuple[NDArray[Any], ...]] = {
        np.int64: (piece.number, piece.time, piece.payload_at, piece.mptcp.row, piece.syn.row),
        np.uint64: (piece.source, piece.destination),
        np.uint32: (piece.timestamp, piece.sequence, piece.acknowledgement, piece.payload, piece.captured),
        np.uint16: (
            piece.interface, piece.identification, piece.source_port, piece.destination_port, piece.flags, piece.window,
        ),
        np.uint8: (
            piece.family, piece.hop_limit, piece.octets, piece.mptcp.subtype, piece.mptcp.length, piece.mptcp.octets,
            piece.syn.length, piece.syn.octets,
        ),
    }  # fmt: skip
    for kind, columns in types.items():
        assert [column.dtype for column in columns] == [np.dtype(kind)] * len(columns)
    assert piece.mptcp.octets.shape == (2, LONGEST_OPTIONS)


def test_mptcp_options_are_found_in_the_order_of_the_segments(path: Path) -> None:
    options = [TIMESTAMPS + DSS, b"", FASTCLOSE_AND_RST, SYN_OPTIONS, DSS + TIMESTAMPS]
    piece = read_one(path, pcap([ipv4(tcp(options=one)) for one in options]))
    assert mptcp(piece) == [
        (0, 2, DSS), (2, 7, FASTCLOSE_AND_RST[:12]), (2, 8, FASTCLOSE_AND_RST[12:]), (3, 0, CAPABLE), (4, 2, DSS)
    ]  # fmt: skip


def test_those_behind_the_end_of_the_list_do_not_count(path: Path) -> None:
    assert mptcp(read_one(path, pcap([ipv4(tcp(options=bytes((1, 1, 0, 0)) + DSS))]))) == []


def test_syns_keep_all_their_options(path: Path) -> None:
    packets = [ipv4(tcp(flags=flags, options=SYN_OPTIONS)) for flags in (0x10, 0x02, 0x18, 0x12)] + [ipv4(tcp(flags=2))]
    syn = read_one(path, pcap(packets)).syn
    assert (syn.row.tolist(), syn.length.tolist()) == ([1, 3, 4], [32, 32, 0])
    assert [octets.tobytes() for octets in syn.octets] == [SYN_OPTIONS.ljust(40, b"\0")] * 2 + [bytes(40)]


@pytest.mark.parametrize("flags", [0x02, 0x10])
def test_options_that_the_capture_cut_are_unknown_and_the_others_are_read(path: Path, flags: int) -> None:
    packet = ipv4(tcp(flags=flags, options=CAPABLE + DSS, payload=b"hello"))
    for kept in range(40, 40 + 32):
        (piece,), reading = read(path, pcap([packet], snap_length=kept))
        assert [option for _row, _kind, option in mptcp(piece)] == ([CAPABLE] if kept >= 52 else [])
        assert (piece.payload.tolist(), piece.captured.tolist()) == ([5], [0])
        assert piece.syn.length.tolist() == ([kept - 40] if flags == 0x02 else [])
        assert reading.warnings == [f"{path}: packet 1 ends within its TCP options: those behind the end are unknown"]


@pytest.mark.parametrize(
    "bad",
    [bytes((30, 0, 0, 0)), bytes((30, 1, 0, 0)), bytes((30, 5, 0, 0)), bytes((1, 1, 1, 30)), bytes((99, 40, 0, 0))],
)
def test_a_malformed_option_ends_the_list_and_is_told(path: Path, bad: bytes) -> None:
    (piece,), reading = read(path, pcap([ipv4(tcp(options=DSS + bad)), ipv4(tcp(options=DSS))]))
    assert mptcp(piece) == [(0, 2, DSS), (1, 2, DSS)]
    assert reading.warnings == [
        f"{path}: packet 1 has malformed TCP options: those behind the first such one are unknown"
    ]


def one_by_one(octets: bytes) -> list[bytes]:
    """The MPTCP options in a list of options, found the slow way."""
    found, at = [], 0
    while at < len(octets) and octets[at] != 0:
        length = 1 if octets[at] == 1 else octets[at + 1] if at + 1 < len(octets) else 0
        if not length or (length < 2 and octets[at] != 1) or at + length > len(octets):
            break
        if octets[at] == 30 and length >= 3:
            found.append(octets[at : at + length])
        at += length
    return found


some_option = st.one_of(
    st.sampled_from([b"\1", b"\0", TIMESTAMPS, DSS, CAPABLE, bytes((30, 3, 0x50)), bytes((30, 2))]),
    st.binary(max_size=6),
)
option_lists = st.lists(some_option, max_size=12).map(lambda parts: b"".join(parts)[:LONGEST_OPTIONS])


@given(st.lists(option_lists, min_size=1, max_size=6), st.integers(0, 255))
def test_all_rows_at_once_give_what_each_gives_alone(lists: list[bytes], filler: int) -> None:
    """Whatever stands behind the options, such as the begin of the payload."""
    rows = np.frombuffer(b"".join(one.ljust(LONGEST_OPTIONS, bytes((filler,))) for one in lists), np.uint8)
    found, _malformed = find_mptcp(rows.reshape(-1, LONGEST_OPTIONS), np.array([len(one) for one in lists]))
    told = [
        (int(row), octets[:size].tobytes())
        for row, size, octets in zip(found.row, found.length, found.octets, strict=True)
    ]
    assert told == [(row, option) for row, one in enumerate(lists) for option in one_by_one(one)]
