"""A capture of one download through the whole lab: on the uplinks, in the guest and on the servers, in one file."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.lab_e2e.cli import Cli
from tests.lab_e2e.test_lab import PAGE, YAY
from tests.traces.capturing.wireshark import frames

pytestmark = [pytest.mark.vm, pytest.mark.netns]

OCTETS = 2_000_000
SYN = "0x0002"


@pytest.fixture(scope="module")
def folder(cli: Cli, lab: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a capture of one connection, which fetches a page and a file."""
    folder = tmp_path_factory.mktemp("capture") / "run"
    where = ("--itf", "wlp1s0,wlan1", "--guest", "--server", "--filter", "tcp port 80", "--out", str(folder), "--json")
    fetch = ("curl", "-sS", "--socks5-hostname", lab["socks"], PAGE, "--output", "-", f"{PAGE}bytes/{OCTETS}")
    done = cli.inside("invoke", "capture", *where, "--", *fetch, "--output", "/dev/null")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["warnings"] == []
    return folder


def test_every_machine_tells_of_the_same_connection(folder: Path) -> None:
    assert (folder / "stdout.txt").read_text().strip() == YAY
    seen = frames(folder / "capture.pcapng", "frame.interface_name", "tcp.flags", "tcp.len")
    # Two subflows: on their way out of the guest, on an uplink each, and where they arrive.
    syns = Counter(name for name, flags, _ in seen if flags == SYN)
    assert syns == {"guest:mptcp0": 1, "guest:mptcp1": 1, "wlp1s0": 1, "wlan1": 1, "web:eth0": 2}
    # Segments may be joined on their way (GRO), but not what they carry.
    octets: Counter[str] = Counter()
    for name, _, length in seen:
        octets[name] += int(length)
    assert octets["guest:mptcp0"] == octets["wlp1s0"] > OCTETS // 10
    assert octets["guest:mptcp1"] == octets["wlan1"] > OCTETS // 10
    assert octets["web:eth0"] > OCTETS
    assert octets["far:eth0"] == octets["plain:eth0"] == 0


def test_packets_are_in_the_order_of_time_but_where_an_interface_had_them_otherwise(folder: Path) -> None:
    seen = frames(folder / "capture.pcapng", "frame.interface_name", "frame.time_epoch")
    back = [(one, other) for one, other in pairwise(seen) if float(other[1]) < float(one[1])]
    assert all(one[0] == other[0] for one, other in back)
    assert len(back) < len(seen) // 10


def test_the_manifest_tells_of_every_machine(folder: Path) -> None:
    machines = json.loads((folder / "manifest.json").read_text())["machines"]
    assert set(machines) == {"host", "guest", "web", "plain", "far"}
    host, guest = (machines[name]["facts"] for name in ("host", "guest"))
    assert host["kernel"] != guest["kernel"]
    assert [endpoint["dev"] for endpoint in guest["mptcp_endpoints"]] == ["mptcp0", "mptcp1"]
    assert {"10.66.6.2", "10.66.7.2"} <= {rule["src"] for rule in guest["rules"]}
    assert guest["sysctls"]["net.mptcp.enabled"] == "1"
    assert abs(machines["guest"]["clock_ahead"]) < 60
    assert 0 < machines["guest"]["clock_uncertainty"] < 10
