"""Capturing for as long as something runs: nothing of it is missing, and no tcpdump is left."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest

from lab.context import Lab
from lab.errors import MpsocksError
from lab.runner import Runner
from lab.steps.capture import Capture
from tests.conftest import lab_on, namespace_name
from tests.lab.host_state import wait_until
from tests.lab.testbed.inside import open_socket, processes
from tests.traces.reading.rows import read_segments
from traces.capturing.capture import capturing

pytestmark = pytest.mark.netns

PORT = 7008


@pytest.fixture
def lab(netns: Runner, tmp_path: Path) -> Lab:
    return lab_on(netns, tmp_path)


def knock(lab: Lab) -> None:
    """A SYN that is refused with a RST."""
    with closing(open_socket(namespace_name(lab.host), socket.AF_INET, socket.SOCK_STREAM)) as stream:
        assert stream.connect_ex(("127.0.0.1", PORT)) != 0


def test_what_happens_in_the_block_is_in_the_files(lab: Lab, tmp_path: Path) -> None:
    lab.host.change("ip", "link", "add", "wlan1", "type", "veth")
    lab.host.change("ip", "link", "set", "dev", "wlan1", "up")
    with capturing(lab, ("lo", "wlan1"), tmp_path / "captures", f"tcp port {PORT}", "check") as files:
        knock(lab)
    assert [file.name for file in files] == ["lo.pcap", "wlan1.pcap"]
    assert [len(list(read_segments(file))) for file in files] == [2, 0]
    assert lab.journal.entries() == []


def test_files_and_captures_that_an_earlier_task_left_are_not_taken_for_this_ones(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    folder.mkdir()
    left = Capture("lo", str(folder / "lo.pcap"), "udp", 128)
    lab.journal.apply(left, "check")
    wait_until((folder / "lo.pcap").exists, "tcpdump does not start")
    with capturing(lab, ("lo",), folder, f"tcp port {PORT}", "check") as files:
        knock(lab)
    assert len(list(read_segments(files[0]))) == 2
    assert not processes(namespace_name(lab.host))


def test_a_capture_that_is_not_taken_leaves_no_file_to_be_read(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    folder.mkdir()
    (folder / "wlp9s9.pcap").write_bytes(b"stale")
    with pytest.raises(MpsocksError), capturing(lab, ("wlp9s9",), folder, "tcp", "check"):
        pytest.fail("it captures")
    assert not (folder / "wlp9s9.pcap").exists()


def test_it_ends_also_when_the_block_fails(lab: Lab, tmp_path: Path) -> None:
    def fail() -> None:
        with capturing(lab, ("lo",), tmp_path / "captures", "tcp", "check"):
            knock(lab)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not processes(namespace_name(lab.host))
    assert len(list(read_segments(tmp_path / "captures" / "lo.pcap"))) == 2


@pytest.mark.parametrize(("interface", "expression"), [("wlp9s9", "tcp"), ("lo", "tcp prot 80")])
def test_a_capture_that_cannot_be_taken_says_why(lab: Lab, tmp_path: Path, interface: str, expression: str) -> None:
    with (
        pytest.raises(MpsocksError, match=f"tcpdump does not capture on {interface}") as failed,
        capturing(lab, (interface,), tmp_path / "captures", expression, "check"),
    ):
        pytest.fail("it captures")
    assert failed.value.why
    assert lab.journal.entries() == []
