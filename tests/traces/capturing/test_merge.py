"""Merging captures: every packet once, in order of time, under its interface's name, in a file that Wireshark reads."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import MpsocksError
from tests.traces.capturing.wireshark import frames, told_of
from tests.traces.conftest import capture
from traces.capturing.merge import Merged, Part, merge
from traces.capturing.pcapng_writer import Statistics
from traces.reading.reading import Reading, read_captures

MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
ETHERNET, RAW = 1, 101
START = 1_700_000_000
UNIT = {MICROSECONDS: 1000, NANOSECONDS: 1}
ON_WIRE = 1500

Block = tuple[int, bytes]


def write_pcap(
    path: Path,
    packets: Iterable[tuple[int, bytes]],
    *,
    magic: int = NANOSECONDS,
    order: str = "<",
    link: int = ETHERNET,
) -> Path:
    """A pcap file of these packets, each with its nanoseconds after START."""
    octets = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 128, link)
    for after, packet in packets:
        seconds, fraction = divmod(after, 1_000_000_000)
        octets += struct.pack(f"{order}IIII", START + seconds, fraction // UNIT[magic], len(packet), ON_WIRE) + packet
    path.write_bytes(octets)
    return path


def merged_in(folder: Path, *parts: Part) -> tuple[Path, Merged]:
    output = folder / "merged.pcapng"
    output.unlink(missing_ok=True)
    return output, merge(parts, output, "mpsocks test")


def blocks(file: Path) -> list[Block]:
    """Kind and body of every block, which must be framed as the format has it."""
    octets, at, found = file.read_bytes(), 0, []
    while at < len(octets):
        kind, length = struct.unpack_from("=II", octets, at)
        assert length % 4 == 0
        assert struct.unpack_from("=I", octets, at + length - 4) == (length,)
        found.append((kind, octets[at + 8 : at + length - 4]))
        at += length
    return found


def packets_in(file: Path) -> list[tuple[int, int, bytes, int]]:
    """Interface, time in its unit, what was kept, and octets on the wire, of every packet."""
    found = []
    for kind, body in blocks(file):
        if kind == 6:
            interface, high, low, kept, length = struct.unpack_from("=5I", body)
            found.append((interface, high << 32 | low, body[20 : 20 + kept], length))
    return found


class TestOrder:
    def test_packets_of_all_files_are_in_order_of_time(self, tmp_path: Path) -> None:
        wlan = write_pcap(tmp_path / "a", [(10, b"first"), (30, b"third")])
        tether = write_pcap(tmp_path / "b", [(20, b"second"), (40, b"fourth")])
        file, merged = merged_in(tmp_path, Part(wlan, "wlp1s0"), Part(tether, "wlan1"))
        assert [packet[2] for packet in packets_in(file)] == [b"first", b"second", b"third", b"fourth"]
        assert [packet[0] for packet in packets_in(file)] == [0, 1, 0, 1]
        assert merged == Merged((2, 2), ())

    def test_of_the_same_time_the_first_file_comes_first(self, tmp_path: Path) -> None:
        parts = [Part(write_pcap(tmp_path / name, [(7, name.encode())]), name) for name in ("x", "y", "z")]
        file, _ = merged_in(tmp_path, *reversed(parts))
        assert [packet[2] for packet in packets_in(file)] == [b"z", b"y", b"x"]

    @given(st.lists(st.lists(st.tuples(st.integers(0, 5_000_000_000), st.binary(max_size=9)), max_size=8), max_size=5))
    def test_whatever_the_files_hold_is_there_once(
        self, tmp_path_factory: pytest.TempPathFactory, files: list[list[tuple[int, bytes]]]
    ) -> None:
        folder = tmp_path_factory.mktemp("any")
        ordered = [sorted(packets, key=lambda packet: packet[0]) for packets in files]
        parts = [Part(write_pcap(folder / f"{n}", packets), f"if{n}") for n, packets in enumerate(ordered)]
        file, merged = merged_in(folder, *parts)
        found = packets_in(file)
        assert [time for _, time, _, _ in found] == sorted(time for _, time, _, _ in found)
        for number, packets in enumerate(ordered):
            mine = [(time - START * 10**9, kept) for interface, time, kept, _ in found if interface == number]
            assert mine == packets
        assert merged.packets == tuple(len(packets) for packets in files)


class TestFormats:
    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("magic", [MICROSECONDS, NANOSECONDS])
    def test_time_keeps_the_resolution_that_it_has(self, tmp_path: Path, order: str, magic: int) -> None:
        part = Part(write_pcap(tmp_path / "a", [(1_234_567_891, b"x")], magic=magic, order=order), "a")
        other = Part(write_pcap(tmp_path / "b", [(1_234_567_899, b"y")]), "b")
        file, _ = merged_in(tmp_path, part, other)
        assert packets_in(file)[0][1] == (START * 10**9 + 1_234_567_891) // UNIT[magic]
        assert packets_in(file)[1][1] == START * 10**9 + 1_234_567_899

    def test_link_types_may_differ(self, tmp_path: Path) -> None:
        parts = [Part(write_pcap(tmp_path / f"{link}", [], link=link), f"{link}") for link in (ETHERNET, RAW)]
        file, _ = merged_in(tmp_path, *parts)
        described = [body for kind, body in blocks(file) if kind == 1]
        assert [struct.unpack_from("=HHI", body) for body in described] == [(ETHERNET, 0, 128), (RAW, 0, 128)]

    def test_a_file_that_was_cut_off_gives_what_is_whole_and_a_warning(self, tmp_path: Path) -> None:
        part = write_pcap(tmp_path / "a", [(1, b"whole"), (2, b"cut off")])
        part.write_bytes(part.read_bytes()[:-3])
        file, merged = merged_in(tmp_path, Part(part, "a"))
        assert [packet[2] for packet in packets_in(file)] == [b"whole"]
        assert merged == Merged((1,), (f"{part}: it ends within packet 2",))

    @pytest.mark.parametrize("octets", [b"", b"\xd4\xc3\xb2\xa1", b"not a capture at all, not at all"])
    def test_what_is_no_capture_is_refused(self, tmp_path: Path, octets: bytes) -> None:
        (tmp_path / "a").write_bytes(octets)
        with pytest.raises(MpsocksError, match="is not a pcap file"):
            merged_in(tmp_path, Part(tmp_path / "a", "a"))
        assert not (tmp_path / "merged.pcapng").exists()

    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        part = Part(write_pcap(tmp_path / "a", []), "a")
        (tmp_path / "there").write_text("dear")
        with pytest.raises(MpsocksError, match="cannot be written"):
            merge([part], tmp_path / "there", "mpsocks test")
        assert (tmp_path / "there").read_text() == "dear"

    def test_more_packets_than_are_read_at_once(self, tmp_path: Path) -> None:
        counts = (20_000, 9_000)
        parts = [
            Part(write_pcap(tmp_path / f"{n}", [(step * (n + 1), b"p") for step in range(count)]), f"{n}")
            for n, count in enumerate(counts)
        ]
        file, merged = merged_in(tmp_path, *parts)
        times = [time for _, time, _, _ in packets_in(file)]
        assert merged.packets == counts
        assert times == sorted(times)


class TestWireshark:
    def test_it_reads_names_times_and_lengths(self, tmp_path: Path) -> None:
        host = Part(write_pcap(tmp_path / "a", [(5, bytes(60)), (2025, bytes(61))]), "wlp1s0", "wlp1s0 of this host")
        guest = Part(
            write_pcap(tmp_path / "b", [(1999, bytes(62))], magic=MICROSECONDS), "guest:mptcp0", "mptcp0 of guest"
        )
        file, _ = merged_in(tmp_path, host, guest)
        fields = (
            "frame.interface_name",
            "frame.interface_description",
            "frame.cap_len",
            "frame.len",
            "frame.time_epoch",
        )
        assert frames(file, *fields) == [
            # The microseconds of the second file do not tell of its last 999 ns.
            ("wlp1s0", "wlp1s0 of this host", "60", "1500", f"{START}.000000005"),
            ("guest:mptcp0", "mptcp0 of guest", "62", "1500", f"{START}.000001000"),
            ("wlp1s0", "wlp1s0 of this host", "61", "1500", f"{START}.000002025"),
        ]

    def test_it_reads_what_is_said_of_file_and_interfaces(self, tmp_path: Path) -> None:
        statistics = Statistics(
            START * 10**9, (START + 2) * 10**9, received=5, dropped=3, dropped_by_kernel=3, delivered=2
        )
        pcap = write_pcap(tmp_path / "a", [(1, b"x"), (2, b"yz")])
        part = Part(pcap, "wlan1", "wlan1 of this host", "tcp port 80", "Linux 6.18", statistics)
        file, _ = merged_in(tmp_path, part)
        told = told_of(file)
        assert told["Capture application"] == ["mpsocks test"]
        assert told["Name"] == ["wlan1"]
        assert told["Filter string"] == ["tcp port 80"]
        assert told["Operating system"] == ["Linux 6.18"]
        assert told["Number of stat entries"] == ["1"]
        assert told["Number of packets"] == ["2", "2"]
        assert told["Time precision"] == ["nanoseconds (9)"]


def test_statistics_are_those_of_the_capture(tmp_path: Path) -> None:
    statistics = Statistics(START * 10**9, (START + 2) * 10**9, received=5, dropped=4, dropped_by_kernel=3, delivered=2)
    part = Part(write_pcap(tmp_path / "a", [(1, b"x")], magic=MICROSECONDS), "wlan1", statistics=statistics)
    file, _ = merged_in(tmp_path, part)
    kind, body = blocks(file)[-1]
    ended = (START + 2) * 10**6
    assert kind == 5
    assert struct.unpack_from("=III", body) == (0, ended >> 32, ended & 0xFFFFFFFF)
    options, at = {}, 12
    while at < len(body):
        code, length = struct.unpack_from("=HH", body, at)
        options[code] = body[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
    # isb_ifrecv, isb_ifdrop, isb_filteraccept, isb_osdrop, isb_usrdeliv, and the end of options
    counts = {code: int.from_bytes(options[code], "little") for code in (4, 5, 6, 7, 8)}
    assert counts == {4: 5, 5: 4, 6: 5, 7: 3, 8: 2}
    assert options[0] == b""
    assert options[2] == struct.pack("=II", START * 10**6 >> 32, START * 10**6 & 0xFFFFFFFF)


def test_what_is_not_known_is_not_said(tmp_path: Path) -> None:
    part = Part(write_pcap(tmp_path / "a", []), "a", statistics=Statistics(START, START))
    file, _ = merged_in(tmp_path, part)
    [statistics] = [body for kind, body in blocks(file) if kind == 5]
    assert len(statistics) == 12 + 12 + 12 + 4  # begin, two times, end of options


def test_our_own_reader_finds_the_same_in_the_merged_file_as_in_its_parts(tmp_path: Path) -> None:
    parts = {"wlp1s0": capture("v1/v1_two_subflows.wlan.pcap"), "wlan1": capture("v1/v1_two_subflows.tether.pcap")}
    file, merged = merged_in(tmp_path, *(Part(path, name) for name, path in parts.items()))
    together, apart = read_captures([file]), read_captures(list(parts.values()))
    found = sorted(_rows(together, list(parts)))
    assert found == sorted(_rows(apart, list(parts)))
    assert together.interfaces == list(parts)
    assert together.warnings == []
    assert together.segments == sum(merged.packets)


def _rows(reading: Reading, names: list[str]) -> list[tuple[int, str, int]]:
    """Time, interface and source port of each segment."""
    found = []
    for piece in reading:
        columns = (piece.time.tolist(), piece.interface.tolist(), piece.source_port.tolist())
        found += [(time, names[interface], port) for time, interface, port in zip(*columns, strict=True)]
    return found
