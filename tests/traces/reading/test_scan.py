"""Where records begin: many scans at once find what one finds, whatever the records hold."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.bench.capture import write_capture
from tests.traces.reading.files import enhanced, interface, section
from traces.reading import scan
from traces.reading.octets import SLACK
from traces.reading.reading import read_captures
from traces.reading.segments import UInt8

LAYOUTS = {
    "<": scan.Layout("<", 8, 16, slice(1, 4)),
    ">": scan.Layout(">", 8, 16, slice(0, 3)),
}
SECONDS = 1_700_000_000


def records(order: str, packets: list[bytes], second: int = SECONDS) -> bytes:
    """pcap records."""
    return b"".join(struct.pack(f"{order}IIII", second, 1, len(one), len(one)) + one for one in packets)


def deceptive(rng: random.Random, order: str) -> list[bytes]:
    """Packets of all lengths, some with what looks like records in them."""
    looks = records(order, [bytes(rng.randrange(90))] * rng.randint(1, 12))
    return [rng.choice((rng.randbytes(rng.randrange(200)), bytes(rng.randrange(400)), looks)) for _ in range(6000)]


def window(octets: bytes) -> UInt8:
    return np.frombuffer(octets + bytes(SLACK), np.uint8)


@pytest.mark.parametrize("order", LAYOUTS)
@pytest.mark.parametrize("seed", range(3))
def test_packets_that_hold_what_looks_like_records_do_not_deceive_it(order: str, seed: int) -> None:
    rng = random.Random(seed)
    file = records(order, deceptive(rng, order))
    octets, at, found = window(file), 0, [0]
    while at < len(file) - 16:
        starts = scan.scan(octets, at, len(file), LAYOUTS[order], 1 << 16)
        assert len(starts) > 1
        found += starts[1:].tolist()
        at = found[-1]
    assert found == one_by_one(file, order)


def one_by_one(file: bytes, order: str) -> list[int]:
    at, found = 0, [0]
    while at + 16 <= len(file):
        at += 16 + struct.unpack_from(f"{order}I", file, at + 8)[0]
        found.append(at)
    return found


@given(st.integers(0, 2**32 - 1), st.integers(0, 16_000))
def test_a_damaged_length_ends_what_is_found_where_it_is(length: int, record: int) -> None:
    """What comes before it is right, and the record itself is the last that can be."""
    file = bytearray(records("<", [bytes(100)] * 16_000))
    at = min(record, 15_999) * 116
    struct.pack_into("<I", file, at + 8, length)
    starts = scan.scan(window(bytes(file)), 0, len(file), LAYOUTS["<"], 1 << 16)
    before = starts[starts <= at]
    assert before.tolist() == list(range(0, len(before) * 116, 116))
    assert len(starts) > 1 or record == 0


def test_many_scans_at_once_are_used_and_end_where_they_should(tmp_path: Path) -> None:
    write_capture(tmp_path / "c.pcap", 50_000)
    file = (tmp_path / "c.pcap").read_bytes()[24:]
    starts = scan.scan(window(file), 0, len(file), LAYOUTS["<"], 1 << 20)
    assert starts.tolist() == one_by_one(file, "<")
    assert len(starts) > 40_000
    assert len(scan._guesses(window(file), 0, len(file), LAYOUTS["<"])) > scan.FEWEST_SCANS


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("most", [7_000, 1 << 20])
def test_pcapng_files_are_read_so_too(tmp_path: Path, order: str, most: int) -> None:
    rng = random.Random(0)
    packets = [rng.randbytes(rng.randrange(100)) for _ in range(20_000)]
    blocks = b"".join(enhanced(packet, order) for packet in packets)
    (tmp_path / "c.pcapng").write_bytes(section(order) + interface(order, link=1) + blocks)
    reading = read_captures([tmp_path / "c.pcapng"], piece_packets=most)
    assert sum(len(piece) for piece in reading) == 0
    assert reading.packets == 20_000
