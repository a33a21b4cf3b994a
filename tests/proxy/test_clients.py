"""Programs that people use, through the running proxy: curl in every form, ssh behind nc, and a browser."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import clients
from tests.proxy.namespaces import CLIENT_NET, GATEWAY, SERVER, Row, namespaces_in_a_row, socket_in, with_file
from tests.proxy.peers import listening_socket
from tests.proxy.running import RunningProxy
from tests.ssh_server import ECHO_STATUS, SshServer
from tests.website import CONTENT, OCTETS, TOLD, Website

ECHOED = 4 << 20
SITE = "site.test"
PROXY_PORT = 1080
PROXY_SEEN_FROM_SERVER = "10.77.2.1"


@pytest.fixture
def site() -> Iterator[Website]:
    with listening_socket() as listener, Website(listener) as made:
        yield made


@pytest.mark.parametrize(
    ("form", "protocol", "asked_for"),
    [
        ("--socks4", "socks4", "127.0.0.1"),
        ("--socks4a", "socks4", "localhost"),
        ("--socks5", "socks5", "127.0.0.1"),
        ("--socks5-hostname", "socks5", "localhost"),
    ],
)
@pytest.mark.parametrize("listener", [0, 1], ids=["ipv4", "ipv6"])
def test_curl_fetches_a_page(
    proxy: RunningProxy, site: Website, form: str, protocol: str, asked_for: str, listener: int
) -> None:
    """With SOCKS 4 and 5 curl resolves by itself, as it is told here; with the other two the proxy does."""
    known = ("--resolve", f"localhost:{site.port}:127.0.0.1")
    command = clients.curl(form, proxy.addresses[listener], f"http://localhost:{site.port}/data.json", *known)
    page = subprocess.run(command, capture_output=True, check=True).stdout
    assert page == CONTENT["/data.json"][1]
    line = proxy.connection(destination=f"{asked_for}:{site.port}")
    assert (line["protocol"], line["end"]) == (protocol, "closed")
    assert line["down"] > len(page)
    assert len(site.peers) == 1


@pytest.mark.parametrize(
    ("socks", "host"), [(4, "127.0.0.1"), (5, "127.0.0.1"), (5, "localhost")], ids=["4", "5", "5-by-name"]
)
def test_ssh_behind_nc_runs_a_command_and_carries_its_data(
    proxy: RunningProxy, tmp_path: Path, socks: int, host: str
) -> None:
    payload = os.urandom(ECHOED)
    with SshServer(socket.socket) as server:
        server.write_client_files(tmp_path, host)
        command = clients.ssh(proxy.addresses[0], host, server.port, tmp_path, "send it back", socks=socks)
        done = subprocess.run(command, input=payload, capture_output=True, check=False, timeout=clients.PATIENCE)
        line = proxy.connection(destination=f"{host}:{server.port}")
    assert (done.returncode, done.stderr) == (ECHO_STATUS, b"send it back")
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(payload).digest()
    assert line["protocol"] == f"socks{socks}"
    assert min(line["up"], line["down"]) > ECHOED


@pytest.fixture
def row() -> Iterator[Row]:
    with namespaces_in_a_row() as made:
        yield made


@pytest.mark.netns
def test_a_browser_loads_a_page_and_all_that_belongs_to_it(row: Row, tmp_path: Path) -> None:
    """The browser can reach nothing but the proxy, and only the proxy knows the site's name."""
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{SERVER[socket.AF_INET]} {SITE}\n")
    address = f"{GATEWAY[socket.AF_INET]}:{PROXY_PORT}"
    with (
        socket_in(row.server, socket.AF_INET) as listener,
        RunningProxy(
            *("serve", "--listen", address, "--workers", "2", "--allow", CLIENT_NET[0]),
            prefix=("ip", "netns", "exec", row.gateway, *with_file(hosts, "/etc/hosts")),
        ) as proxy,
    ):
        listener.bind((SERVER[socket.AF_INET], 0))
        listener.listen()
        with Website(listener) as site:
            command = clients.browser(address, f"http://{SITE}:{site.port}/", tmp_path / "profile")
            dom = subprocess.run(
                ["ip", "netns", "exec", row.client, *command],
                capture_output=True, text=True, check=True, timeout=clients.PATIENCE,
            ).stdout  # fmt: skip
    assert TOLD in dom
    assert sorted(site.asked) == sorted(CONTENT)
    told = [line for line in proxy.lines if line.get("destination") == f"{SITE}:{site.port}"]
    assert len(told) == len(site.peers) > 1
    assert set(site.peers) == {PROXY_SEEN_FROM_SERVER}
    assert {line["protocol"] for line in told} == {"socks5"}
    assert sum(line["down"] for line in told) > OCTETS
