"""Properties of every capture, whatever became of it on its way: of generated ones, and of ones changed at random."""

from __future__ import annotations

import dataclasses
import gzip
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import BadInputError
from tests.fuzzing.mutations import CHANGES
from tests.traces.bench.capture import write_capture
from tests.traces.conftest import capture
from tests.traces.reading.files import enhanced, interface, pcap, read, section
from tests.traces.reading.packets import DSS, TIMESTAMPS, ethernet, ipv4, ipv6, tcp
from traces.reading.reading import Reading, read_captures
from traces.reading.segments import Segments

ROWS = (
    "number", "interface", "time", "family", "source", "destination", "source_port", "destination_port", "hop_limit",
    "identification", "timestamp", "sequence", "acknowledgement", "flags", "window", "payload", "captured",
)  # fmt: skip

segments = st.builds(
    tcp,
    flags=st.sampled_from([0x02, 0x12, 0x10, 0x18, 0x11, 0x04]),
    options=st.sampled_from([b"", TIMESTAMPS, DSS, TIMESTAMPS + DSS]),
    payload=st.binary(max_size=30),
    sequence=st.integers(0, 2**32 - 1),
    ports=st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
)
packets = st.one_of(
    segments.map(ipv4).map(ethernet),
    segments.map(ipv6).map(ethernet),
    segments.map(ipv4).map(lambda packet: ethernet(packet, 0x8100)),
    st.binary(max_size=60),
)
captures = st.lists(packets, max_size=12)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pieces") / "c.pcap"


def columns(pieces: list[Segments]) -> list[tuple[Any, ...]]:
    """Every segment with all that is told of it, wherever the pieces begin and end."""
    return [row for piece in pieces for row in rows(piece)]


def rows(piece: Segments) -> Iterator[tuple[Any, ...]]:
    options: dict[int, list[tuple[str, int, bytes]]] = {}
    for kind, found in (("mptcp", piece.mptcp), ("syn", piece.syn)):
        for row, length, octets in zip(found.row.tolist(), found.length.tolist(), found.octets, strict=True):
            options.setdefault(row, []).append((kind, length, octets.tobytes()))
    for row in range(len(piece)):
        at, size = piece.payload_at[row], piece.captured[row]
        payload = piece.octets[at : at + size].tobytes()
        yield (*(getattr(piece, name)[row].tolist() for name in ROWS), payload, options.get(row, []))


def check_promises(pieces: list[Segments], reading: Reading) -> None:
    """What holds of every result, of damaged files, too."""
    last = 0
    for piece in pieces:
        assert all(len(getattr(piece, name)) == len(piece) for name in ROWS)
        assert (np.diff(piece.number, prepend=last) > 0).all()
        last = int(piece.number[-1])
        assert (piece.captured <= piece.payload).all()
        assert (piece.payload_at[piece.captured > 0] + piece.captured[piece.captured > 0] <= len(piece.octets)).all()
        assert (piece.interface < len(reading.interfaces)).all()
        for options in (piece.mptcp, piece.syn):
            assert (np.diff(options.row) >= 0).all()
            assert (options.row < len(piece)).all()
            assert (options.length <= 40).all()
    assert last <= reading.packets
    assert all(warning.startswith(str(reading.paths[0])) for warning in reading.warnings)


class TestGenerated:
    @given(captures, st.integers(1, 13), st.integers(1, 400))
    def test_pieces_of_any_size_give_the_same(self, path: Path, sent: list[bytes], count: int, octets: int) -> None:
        whole, told = read(path, pcap(sent, link=1))
        pieces, reading = read(path, piece_packets=count, piece_octets=octets)
        assert columns(pieces) == columns(whole)
        assert (reading.packets, reading.warnings) == (len(sent), told.warnings)
        assert all(len(piece) <= count for piece in pieces)
        check_promises(pieces, reading)

    @given(captures, st.integers(1, 13), st.integers(1, 400))
    def test_so_do_pieces_of_a_pcapng_file(self, path: Path, sent: list[bytes], count: int, octets: int) -> None:
        plain, _reading = read(path, pcap(sent, link=1))
        file = section() + interface(link=1) + b"".join(enhanced(packet) for packet in sent)
        pieces, reading = read(path, file, piece_packets=count, piece_octets=octets)
        timeless = [dataclasses.replace(piece, time=np.zeros_like(piece.time)) for piece in plain]
        assert columns(pieces) == columns(timeless)
        assert reading.packets == len(sent)

    @given(captures, st.integers(1, 400))
    def test_so_do_compressed_ones(self, path: Path, sent: list[bytes], octets: int) -> None:
        file = pcap(sent, link=1)
        plain, _reading = read(path, file)
        for compressed in (gzip.compress(file), zstandard.compress(file)):
            assert columns(read(path, compressed, piece_octets=octets)[0]) == columns(plain)

    @given(captures, st.data())
    def test_packets_that_are_dropped_duplicated_or_reordered_take_none_of_the_others_along(
        self, path: Path, sent: list[bytes], data: st.DataObject
    ) -> None:
        order = data.draw(st.lists(st.integers(0, max(0, len(sent) - 1)), max_size=20) if sent else st.just([]))
        of_each = [columns(read(path, pcap([packet], link=1))[0]) for packet in sent]
        pieces, _reading = read(path, pcap([sent[number] for number in order], link=1))
        without = [row[ROWS.index("family") :] for row in columns(pieces)]
        assert without == [row[ROWS.index("family") :] for number in order for row in of_each[number]]

    @given(captures, st.integers(0, 1200))
    def test_a_file_that_is_cut_at_any_octet_gives_the_first_packets(
        self, path: Path, sent: list[bytes], length: int
    ) -> None:
        file = pcap(sent, link=1)
        whole, _reading = read(path, file)
        cut = file[: max(24, length)]
        pieces, reading = read(path, cut)
        ends = [24]
        for packet in sent:
            ends.append(ends[-1] + 16 + len(packet))
        assert reading.packets == sum(end <= len(cut) for end in ends[1:])
        assert columns(pieces) == [row for row in columns(whole) if row[0] <= reading.packets]
        assert any("it ends within packet" in warning for warning in reading.warnings) == (len(cut) not in ends)


@pytest.mark.parametrize(("count", "octets"), [(7, 100_000), (1000, 5000)])
def test_a_real_capture_gives_the_same_in_pieces_of_any_size(count: int, octets: int) -> None:
    name = capture("v1/v1_two_subflows.wlan.pcap")
    whole = columns(list(read_captures([name])))
    assert columns(list(read_captures([name], piece_packets=count, piece_octets=octets))) == whole


@pytest.mark.parametrize(
    "compress",
    [
        pytest.param(bytes, id="plain"),
        pytest.param(gzip.compress, id="gzip", marks=pytest.mark.slow),
        pytest.param(zstandard.compress, id="zstd", marks=pytest.mark.slow),
    ],
)
def test_memory_is_that_of_a_piece_whatever_the_file_has(path: Path, compress: Any) -> None:
    write_capture(path, 50_000)
    path.write_bytes(compress(path.read_bytes()))
    tracemalloc.start()
    try:
        reading = read_captures([path], piece_octets=1 << 17)
        assert sum(len(piece) for piece in reading) == reading.packets > 49_000
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3_000_000


class TestFuzzed:
    """Files that were changed at random: they are read as far as they go, or refused in words."""

    SEEDS = (
        capture("v1/v1_single.wlan.pcap").read_bytes(),
        capture("v1/v1_ipv6.wlan.pcap").read_bytes(),
        capture("middlebox/mb_proxy_tcp_ttl2.client.pcap").read_bytes(),
        section(">") + interface(">", link=1) + enhanced(ethernet(ipv4(tcp(options=DSS))), ">") * 5,
        section() + interface() + enhanced(ipv6(tcp(flags=2), extensions=[(0, bytes(8))])) * 5 + section(),
    )

    @pytest.mark.parametrize("seed", range(4))
    def test_no_change_makes_it_fail(self, path: Path, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(40):
            octets = rng.choice(self.SEEDS)
            for _ in range(rng.randint(1, 4)):
                octets = rng.choice(CHANGES)(rng, octets)
            self.check(path, rng.choice((bytes, gzip.compress, zstandard.compress))(octets))

    @pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
    def test_nor_does_one_of_the_compressed_file(self, path: Path, compress: Any) -> None:
        rng = random.Random(1)
        for _ in range(40):
            self.check(path, rng.choice(CHANGES)(rng, compress(rng.choice(self.SEEDS))))

    @settings(max_examples=50)
    @given(st.binary(max_size=300), st.sampled_from([pcap([]), section() + interface(), section(">") + interface(">")]))
    def test_nor_do_random_octets_behind_a_sound_header(self, path: Path, octets: bytes, header: bytes) -> None:
        self.check(path, header + octets)

    @staticmethod
    def check(path: Path, octets: bytes) -> None:
        try:
            pieces, reading = read(path, octets, piece_octets=4096)
        except BadInputError:
            return
        check_promises(pieces, reading)
