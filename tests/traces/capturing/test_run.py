"""Capturing between namespaces with real traffic: what was sent is in the file, to the last packet."""

from __future__ import annotations

import json
import os
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from lab.context import Lab
from lab.errors import BadInputError
from lab.runner import Runner
from tests.conftest import lab_on, namespace_name
from tests.lab.host_state import wait_for_links
from tests.lab.testbed.inside import processes
from tests.traces.capturing.wireshark import frames, told_of
from traces.capturing.outcome import Captured
from traces.capturing.request import Request
from traces.capturing.run import run_capture

pytestmark = pytest.mark.netns

UPLINKS = {"wlp1s0": IPv4Address("192.168.1.21"), "wlan1": IPv4Address("10.9.0.2")}
PORT = 7009
# Datagrams to nobody, each with its number: to PORT of an address, or of two in turn.
BURST = f"""
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
for number in range(int(sys.argv[1])):
    for address in sys.argv[2:]:
        sender.sendto(number.to_bytes(4, "big"), (address, {PORT}))
"""


@pytest.fixture
def lab(netns: Runner, tmp_path: Path) -> Lab:
    """A host with two uplinks, each with a neighbour that takes everything and answers nothing."""
    commands = []
    for name, address in UPLINKS.items():
        commands += [
            f"link add {name} type veth peer name {name}-far",
            f"link set dev {name}-far up",
            f"link set dev {name} up",
            f"address add {address}/24 dev {name}",
            f"neighbour add {address + 50} lladdr 02:00:00:00:00:01 dev {name}",
        ]
    netns.change("ip", "-batch", "-", stdin="\n".join(commands))
    wait_for_links(netns, *UPLINKS)
    return lab_on(netns, tmp_path)


def burst(count: int, *uplinks: str) -> tuple[str, ...]:
    """A command that sends so many datagrams over each of these uplinks, in turn."""
    return (sys.executable, "-c", BURST, str(count), *(str(UPLINKS[name] + 50) for name in uplinks))


def capture(lab: Lab, *command: str, **options: Any) -> Captured:
    options = {"interfaces": tuple(UPLINKS), "expression": f"udp port {PORT}", **options}
    captured = run_capture(lab, Request(command=command, **options))
    assert captured is not None
    return captured


def manifest(captured: Captured) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(captured.manifest.read_text())
    return told


@pytest.mark.slow
def test_every_packet_up_to_the_commands_end_is_there_in_order_under_its_interface(lab: Lab) -> None:
    captured = capture(lab, *burst(1000, *UPLINKS))
    found = frames(captured.file, "frame.interface_name", "udp.payload")
    expected = [(name, f"{number:08x}") for number in range(1000) for name in UPLINKS]
    assert found == expected
    assert told_of(captured.file)["Strict time order"] == ["True"]
    assert [(one.name, one.packets) for one in captured.interfaces] == [("wlp1s0", 1000), ("wlan1", 1000)]
    assert captured.warnings == ()
    assert lab.journal.entries() == []
    assert not processes(namespace_name(lab.host))


@pytest.mark.slow
def test_what_still_waits_in_the_kernel_at_the_end_is_there_too(lab: Lab, tmp_path: Path) -> None:
    """tcpdump is kept from reading until the command has ended, and finds 20000 packets then."""
    pid = tmp_path / "run" / "wlan1.pcap.pid"
    script = f'pid=$(cat {pid}); kill -STOP $pid; "$@"; (sleep 0.5; kill -CONT $pid) >/dev/null 2>&1 &'
    captured = capture(lab, "sh", "-c", script, "sh", *burst(20_000, "wlan1"), out=tmp_path / "run", buffer=32)
    assert [one.packets for one in captured.interfaces] == [0, 20_000]
    assert captured.warnings == ()


@pytest.mark.slow
def test_drops_are_told_as_the_kernel_counts_them(lab: Lab, tmp_path: Path) -> None:
    """tcpdump is kept from reading while more is sent than there is room for."""
    pid = tmp_path / "run" / "wlan1.pcap.pid"
    script = f'pid=$(cat {pid}); kill -STOP $pid; "$@"; kill -CONT $pid'
    captured = capture(lab, "sh", "-c", script, "sh", *burst(20_000, "wlan1"), out=tmp_path / "run", buffer=1)
    _, lost = captured.interfaces
    assert lost.counts is not None
    # The interface itself counts what was sent over it: nothing else is, but for neighbour discovery.
    assert 20_000 <= lost.kernel["tx_packets"] < 20_010
    assert lost.counts.dropped_by_kernel > 0
    assert lost.packets + lost.counts.dropped_by_kernel == 20_000
    assert captured.warnings == (
        f"wlan1: the kernel dropped {lost.counts.dropped_by_kernel} packets: give a larger --buffer",
    )
    [told] = [one for one in manifest(captured)["interfaces"] if one["name"] == "wlan1"]
    assert told["counts"]["dropped_by_kernel"] == lost.counts.dropped_by_kernel


@pytest.mark.slow
@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -KILL $$", 137)])
def test_the_exit_code_is_the_commands(lab: Lab, script: str, code: int) -> None:
    captured = capture(lab, "sh", "-c", f"echo said; {script}")
    assert captured.exit_code == manifest(captured)["exit_code"] == code
    assert (captured.folder / "stdout.txt").read_text() == "said\n"


@pytest.mark.slow
def test_it_ends_when_the_time_is_up(lab: Lab) -> None:
    captured = capture(lab, seconds=0.2)
    assert captured.exit_code == 0
    assert captured.ended_by == "time"
    assert captured.seconds >= 0.2
    killed = capture(lab, "sleep", "600", seconds=0.2)
    assert killed.exit_code == 130
    assert killed.ended_by == "time"


@pytest.mark.slow
def test_a_capture_that_ends_before_its_time_is_told(lab: Lab, tmp_path: Path) -> None:
    stop = f"kill -INT $(cat {tmp_path}/run/wlan1.pcap.pid); sleep 0.2"
    captured = capture(lab, "sh", "-c", stop, out=tmp_path / "run")
    assert captured.warnings == ("wlan1: the capture ended before its time",)


@pytest.mark.slow
class TestManifest:
    @pytest.fixture
    def told(self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setenv("MY_PASSWORD", "hunter2")
        lab.host.change("ip", "route", "add", "default", "via", "192.168.1.1", "dev", "wlp1s0", "table", "665")
        lab.host.change("ip", "rule", "add", "from", "10.66.6.2", "lookup", "665")
        lab.host.change("ip", "mptcp", "endpoint", "add", "10.9.0.2", "subflow")
        lab.host.change("sysctl", "-q", "-w", "net.ipv4.tcp_fastopen_key=00000001-00000002-00000003-00000004")
        captured = capture(lab, "sh", "-c", "echo out; echo err >&2", out=tmp_path / "run", keep=True)
        assert "hunter2" not in captured.manifest.read_text()
        assert "00000002" not in captured.manifest.read_text()
        return manifest(captured)

    def test_it_tells_the_circumstances(self, told: dict[str, Any]) -> None:
        host = told["machines"]["host"]["facts"]
        system = os.uname()
        assert host["kernel"].startswith(f"{system.sysname} {system.release}")
        assert host["sysctls"]["net.mptcp.enabled"] == "1"
        assert "net.ipv4.tcp_congestion_control" in host["sysctls"]
        assert "net.ipv4.tcp_fastopen_key" not in host["sysctls"]
        assert set(UPLINKS) <= {link["ifname"] for link in host["links"]}
        addresses = {info["local"] for link in host["addresses"] for info in link["addr_info"]}
        assert {str(address) for address in UPLINKS.values()} <= addresses
        assert "665" in {route.get("table") for route in host["routes"]}
        assert "10.66.6.2" in {rule["src"] for rule in host["rules"]}
        assert [endpoint["address"] for endpoint in host["mptcp_endpoints"]] == ["10.9.0.2"]
        assert any(tool.startswith("tcpdump version") for tool in host["tools"])
        assert told["versions"]["mpsocks"]
        assert told["filter"] == f"udp port {PORT}"
        assert told["started"] < told["ended"]

    def test_it_tells_every_file_with_its_digest(self, told: dict[str, Any], tmp_path: Path, here: Runner) -> None:
        folder = tmp_path / "run"
        names = {path.name for path in folder.iterdir()}
        assert names == {
            *("capture.pcapng", "manifest.json", "stdout.txt", "stderr.txt"),
            *(f"{name}.pcap{suffix}" for name in UPLINKS for suffix in ("", ".log")),
        }
        digests = here.read("sh", "-c", f"cd {folder} && sha256sum *.pcap* *.txt").splitlines()
        assert {f"{file['sha256']}  {file['name']}" for file in told["files"]} == set(digests)
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"interfaces": ("wlp1s0", "wlan2")}, "this host has no interface 'wlan2'"),
            ({"interfaces": ()}, "no interface was named"),
            ({"expression": "tcp prot 80"}, "tcpdump does not understand the filter 'tcp prot 80'"),
            ({"expression": "-w/tmp/overwritten"}, "tcpdump does not understand the filter"),
            ({"command": ("no-such-command",)}, "there is no command 'no-such-command'"),
        ],
        ids=["interface", "none", "filter", "option", "command"],
    )
    def test_before_anything_is_started(self, lab: Lab, options: dict[str, Any], said: str) -> None:
        request = Request(**{"interfaces": ("wlp1s0",), **options})
        with pytest.raises(BadInputError, match=said) as refused:
            run_capture(lab, request)
        assert refused.value.hint
        assert not lab.state.exists()

    def test_an_interface_that_is_down(self, lab: Lab) -> None:
        lab.host.change("ip", "link", "set", "dev", "wlan1", "down")
        with pytest.raises(BadInputError, match="interface wlan1 is down"):
            run_capture(lab, Request(interfaces=("wlan1",)))

    @pytest.mark.parametrize("options", [{"snap_length": 0}, {"snap_length": 262145}, {"buffer": 0}, {"seconds": 0.0}])
    def test_what_makes_no_sense(self, options: dict[str, Any]) -> None:
        with pytest.raises(BadInputError) as refused:
            Request(interfaces=("wlp1s0",), **options)
        assert refused.value.hint


@pytest.mark.slow
def test_the_packets_keep_so_many_octets_as_asked_for(lab: Lab) -> None:
    captured = capture(lab, *burst(3, "wlan1"), snap_length=40)
    assert set(frames(captured.file, "frame.cap_len", "frame.len")) == {("40", "46")}
