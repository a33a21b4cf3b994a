"""Which captures are read, by what a person names."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import BadInputError
from tests.traces.conftest import capture
from traces.__main__ import main
from traces.summary import parse_files, parse_offset


def test_files_are_separated_by_commas() -> None:
    assert parse_files("a.pcap,b.pcapng,") == [Path("a.pcap"), Path("b.pcapng")]


def test_a_folder_stands_for_the_captures_in_it_by_name(tmp_path: Path) -> None:
    for name in ("b.pcap", "a.pcapng.zst", "notes.txt", "c.pcap.gz", "pcap"):
        (tmp_path / name).touch()
    (tmp_path / "folder.pcap").mkdir()
    assert parse_files(str(tmp_path)) == [tmp_path / "a.pcapng.zst", tmp_path / "b.pcap", tmp_path / "c.pcap.gz"]


def test_a_folder_without_captures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="there is no capture"):
        parse_files(str(tmp_path))


def test_where_ip_begins_is_left_to_the_file_unless_it_is_said() -> None:
    assert parse_offset("") is None
    assert parse_offset("0") == 0
    assert parse_offset("16") == 16


@pytest.mark.parametrize("text", ["-1", "9999999", "far"])
def test_where_ip_cannot_begin_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="--ip-offset is"):
        parse_offset(text)


def test_python_m_traces_takes_folders_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.pcap").write_bytes(capture("middlebox/mb_clean_tcp.client.pcap").read_bytes())
    assert main(["summary", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("1 TCP connections without MPTCP\n")
