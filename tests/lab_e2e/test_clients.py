"""Programs that people use, through the proxy in the guest: what they carry goes over both uplinks."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context

from lab.runner import Runner
from proxy.mptcp import IPPROTO_MPTCP
from tests import clients
from tests.conftest import lab_on
from tests.lab_e2e.cli import Cli, succeeded
from tests.lab_e2e.test_lab import PAGE, WEB_SERVER, YAY
from tests.proxy.namespaces import socket_in
from tests.proxy.waiting import eventually
from tests.ssh_server import ECHO_STATUS, SshServer
from tests.website import CONTENT, OCTETS, TOLD, Website
from traces.capturing.capture import capturing
from traces.checking.subflows import Subflow, find_subflows
from traces.summary import read_trace

pytestmark = [pytest.mark.vm, pytest.mark.netns]

UPLINKS = ("wlp1s0", "wlan1")
NAME = "mptcp.test"
ECHOED = 4 << 20
CURL_FORMS = {
    "--socks4": ("socks4", WEB_SERVER),
    "--socks4a": ("socks4", NAME),
    "--socks5": ("socks5", WEB_SERVER),
    "--socks5-hostname": ("socks5", NAME),
}
"""What the proxy is to see: the protocol, and whether it is asked for an address or for a name."""


def web_socket(cli: Cli) -> socket.socket:
    """An MPTCP socket of the emulated internet's web server."""
    return socket_in(f"{cli.prefix}-web", socket.AF_INET, IPPROTO_MPTCP)


def told(cli: Cli, port: int) -> list[dict[str, Any]]:
    """What the proxy in the guest has logged so far of connections to that port."""
    journal = succeeded(cli.invoke_inside("ssh-vm", "--command", "journalctl -u mpsocks-proxy -o cat")).stdout
    lines = [json.loads(line) for line in journal.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("destination", "").endswith(f":{port}")]


@dataclass(slots=True)
class Uplinks:
    """What crossed the uplinks: complete when the block of `watched_uplinks` has ended."""

    subflows: list[Subflow] = field(default_factory=list)

    def carried(self, direction: str) -> dict[str, int]:
        """Octets for each uplink, `up` or `down`."""
        return {
            name: sum(getattr(flow, f"bytes_{direction}") for flow in self.subflows if flow.uplink == name)
            for name in UPLINKS
        }


@contextmanager
def watched_uplinks(cli: Cli, folder: Path, port: int) -> Iterator[Uplinks]:
    """Capture what goes to and from that port of the web server."""
    seen = Uplinks()
    lab_host = lab_on(Runner(Context(), prefix=("ip", "netns", "exec", f"{cli.prefix}-lab")), folder)
    server = (IPv4Address(WEB_SERVER), port)
    with capturing(lab_host, UPLINKS, folder / "captures", f"tcp port {port}", "clients") as files:
        yield seen
    for file in files:
        seen.subflows += find_subflows(file.stem, read_trace([file], lab_host.progress), [server])


def run(cli: Cli, command: list[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a program on the lab host."""
    inside = ["ip", "netns", "exec", f"{cli.prefix}-lab", *command]
    return subprocess.run(inside, input=given, capture_output=True, check=False, timeout=clients.PATIENCE)


def test_curl_reaches_the_page_in_every_form_of_socks(cli: Cli, lab: dict[str, Any]) -> None:
    for form in CURL_FORMS:
        assert run(cli, clients.curl(form, lab["socks"], PAGE)).stdout.decode().strip() == YAY
    assert eventually(lambda: len(told(cli, 80)) == len(CURL_FORMS))
    expected = [(protocol, f"{host}:80", True) for protocol, host in CURL_FORMS.values()]
    assert sorted((line["protocol"], line["destination"], line["mptcp"]) for line in told(cli, 80)) == sorted(expected)


def test_ssh_behind_nc_runs_a_command_over_both_uplinks(cli: Cli, lab: dict[str, Any], tmp_path: Path) -> None:
    payload = os.urandom(ECHOED)
    with SshServer(lambda: web_socket(cli), WEB_SERVER) as server:
        port = server.port
        server.write_client_files(tmp_path, NAME)
        with watched_uplinks(cli, tmp_path, port) as uplinks:
            done = run(cli, clients.ssh(lab["socks"], NAME, port, tmp_path, "send it back"), payload)
    assert (done.returncode, done.stderr) == (ECHO_STATUS, b"send it back")
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(payload).digest()
    assert eventually(lambda: bool(told(cli, port)))
    [line] = told(cli, port)
    assert (line["protocol"], line["destination"], line["mptcp"]) == ("socks5", f"{NAME}:{port}", True)
    assert min(line["up"], line["down"]) > ECHOED
    assert min(*uplinks.carried("up").values(), *uplinks.carried("down").values()) > ECHOED // 10


def test_a_browser_loads_a_page_over_both_uplinks(cli: Cli, lab: dict[str, Any], tmp_path: Path) -> None:
    with web_socket(cli) as listener:
        listener.bind((WEB_SERVER, 0))
        listener.listen()
        with Website(listener) as site, watched_uplinks(cli, tmp_path, site.port) as uplinks:
            url = f"http://{NAME}:{site.port}/"
            dom = run(cli, clients.browser(lab["socks"], url, tmp_path / "profile")).stdout.decode()
    assert TOLD in dom
    assert sorted(site.asked) == sorted(CONTENT)
    assert eventually(lambda: len(told(cli, site.port)) >= len(site.peers))
    lines = told(cli, site.port)
    assert len(lines) == len(site.peers) > 1
    assert {(line["protocol"], line["destination"], line["mptcp"]) for line in lines} == {
        ("socks5", f"{NAME}:{site.port}", True)
    }
    assert sum(line["down"] for line in lines) > OCTETS
    # None came but through the guest, which alone speaks MPTCP: the lab host would have come without.
    assert [flow.agreed for flow in uplinks.subflows if not flow.joins] == [True] * len(site.peers)
    assert min(uplinks.carried("down").values()) > OCTETS // 10
