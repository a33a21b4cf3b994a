"""The origin's table and the verdicts, through the whole lab: guest, taps, NAT, and a mobile ISP that intercepts."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab_e2e.cli import Cli, succeeded
from tests.traces.neutrality.origin import SYNS, TABLE

pytestmark = [pytest.mark.vm, pytest.mark.netns]

SMALL = ("--bytes", "500k")
FEWER = ("--target", "mptcp.test:80", "--target", "plain.test:80")
STATE = (
    "sysctl -n net.ipv4.ip_default_ttl net.ipv4.tcp_syn_retries net.mptcp.blackhole_timeout; "
    "ip mptcp limits show; nft list tables"
)


@pytest.fixture(scope="module")
def intercepted() -> Iterator[Cli]:
    """A lab behind an emulated internet of its own, whose mobile ISP has the box."""
    cli = Cli(Path(tempfile.mkdtemp(prefix="mps-")), f"n{os.getpid()}")
    try:
        succeeded(cli.invoke("testbed-up", "--interception"))
        succeeded(cli.invoke_inside("boot-socks", "--itf", "wlp1s0,wlan1", "--detach"))
        yield cli
    finally:
        succeeded(cli.invoke("clean"))
        shutil.rmtree(cli.state_home)


@pytest.fixture(scope="module")
def mobile(intercepted: Cli) -> dict[str, Any]:
    """What `check-neutrality` says of the mobile ISP, in small downloads."""
    found: dict[str, Any] = intercepted.json_inside("check-neutrality", "--itf", "wlan1", *SMALL)
    return found


def verdicts(judged: dict[str, Any]) -> dict[str, set[tuple[str, str | None, int | None]]]:
    """Kind, arm and hop of what is said of each target."""
    return {
        target["target"]: {(verdict["kind"], verdict["arm"], verdict["hop"]) for verdict in target["verdicts"]}
        for target in judged["targets"]
    }


def test_the_table_of_the_origin_is_reproduced(mobile: dict[str, Any]) -> None:
    table = mobile["targets"][0]["table"]
    assert {row["name"]: (row["syn_ttl"], row["syn_ack_ttl"]) for row in table} == TABLE
    assert [row["name"] for row in table if not row["answered"]] == ["mptcp_ttl10"]
    assert {row["syns"] for row in table if not row["answered"]} == {SYNS}


def test_each_line_is_kept_as_a_capture_under_its_name(mobile: dict[str, Any]) -> None:
    kept = Path(mobile["folder"])
    assert {file.stem for file in kept.glob("*.pcap")} == set(TABLE)
    assert "<html" in (kept / "report.html").read_text()
    assert json.loads((kept / "measurement.json").read_text())["ttl_offset"] == 1


def test_the_box_is_found_and_that_it_passes_mptcp_slower(mobile: dict[str, Any]) -> None:
    found = verdicts(mobile)
    assert mobile["uplink"] == "wlan1"
    for name in ("mptcp.test:80", "far.mptcp.test:80"):
        assert found[name] == {("intercepted", "plain", 5), ("rate-differentiated", None, None)}
    assert ("intercepted", "plain", 5) in found["plain.test:80"]


def test_the_near_control_is_not_accused(mobile: dict[str, Any]) -> None:
    near = mobile["targets"][-1]
    assert near["target"].startswith("10.66.7.1:")
    assert {verdict["kind"] for verdict in near["verdicts"]} <= {"transparent", "inconclusive"}


def test_the_guest_is_as_it_was(intercepted: Cli, mobile: dict[str, Any]) -> None:
    lines = succeeded(intercepted.invoke_inside("ssh-vm", "--command", STATE)).stdout.split("\n")
    assert lines[:3] == ["64", "6", "3600"]
    assert lines[3].split() == ["add_addr_accepted", "8", "subflows", "8"]
    assert "prober" not in "".join(lines)


def test_the_fixed_line_is_transparent(intercepted: Cli) -> None:
    judged = intercepted.json_inside("check-neutrality", "--itf", "wlp1s0", "--bytes", "2M", *FEWER)
    found = verdicts(judged)
    for name in ("mptcp.test:80", "plain.test:80"):
        assert found[name] == {("transparent", None, None)}
    assert {row["syn_ack_ttl"] for row in judged["targets"][0]["table"]} == {55, None}
