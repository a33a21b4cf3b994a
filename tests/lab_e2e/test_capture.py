"""A capture of one download through the whole lab: on the uplinks, in the guest and on the servers, in one file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.lab_e2e.cli import Cli
from tests.lab_e2e.test_lab import PAGE, YAY
from tests.traces.capturing.wireshark import frames, told_of

pytestmark = [pytest.mark.vm, pytest.mark.netns]

OCTETS = 2_000_000
SYN = "tcp.flags.syn==1 && tcp.flags.ack==0"


def test_every_machine_tells_of_the_same_connection(cli: Cli, lab: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    where = ("--itf", "wlp1s0,wlan1", "--guest", "--server", "--filter", "tcp port 80", "--out", str(folder), "--json")
    fetch = ("curl", "-sS", "--socks5-hostname", lab["socks"], PAGE, "--output", "-", f"{PAGE}bytes/{OCTETS}")
    done = cli.inside("invoke", "capture", *where, "--", *fetch, "--output", str(tmp_path / "file"))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (folder / "stdout.txt").read_text().strip() == YAY
    assert report["warnings"] == []
    # The page and the file are one connection: two subflows, seen on their way out of the guest, on an uplink each,
    # and where they arrive.
    syns = Counter(
        name
        for name, flags in frames(folder / "capture.pcapng", "frame.interface_name", "tcp.flags")
        if flags == "0x0002"
    )
    assert syns == {"guest:mptcp0": 1, "guest:mptcp1": 1, "wlp1s0": 1, "wlan1": 1, "web:eth0": 2}
    # Segments may be joined on their way (GRO), but not what they carry.
    octets: Counter[str] = Counter()
    for name, length in frames(folder / "capture.pcapng", "frame.interface_name", "tcp.len"):
        octets[name] += int(length)
    assert octets["guest:mptcp0"] == octets["wlp1s0"] > OCTETS // 10
    assert octets["guest:mptcp1"] == octets["wlan1"] > OCTETS // 10
    assert octets["web:eth0"] > OCTETS
    assert octets["far:eth0"] == octets["plain:eth0"] == 0
    assert told_of(folder / "capture.pcapng")["Strict time order"] == ["True"]


def test_the_manifest_tells_of_every_machine(cli: Cli, lab: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    cli.json_inside("capture", "--itf", "wlp1s0", "--guest", "--for", "1s", "--out", str(folder))
    machines = json.loads((folder / "manifest.json").read_text())["machines"]
    host, guest = (machines[name]["facts"] for name in ("host", "guest"))
    assert host["kernel"] != guest["kernel"]
    assert [endpoint["dev"] for endpoint in guest["mptcp_endpoints"]] == ["mptcp0", "mptcp1"]
    assert {"10.66.6.2", "10.66.7.2"} <= {rule["src"] for rule in guest["rules"]}
    assert guest["sysctls"]["net.mptcp.enabled"] == "1"
    assert abs(machines["guest"]["clock_ahead"]) < 60
    assert 0 < machines["guest"]["clock_uncertainty"] < 10
