"""The near control: reachable over its tap alone, and as fast as what it is compared with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from lab.plan import tap_plan
from lab.runner import Runner
from tests.conftest import MakeNamespace
from tests.traces.neutrality.simulator import Network, Simulator
from traces.neutrality.measuring import Aim
from traces.neutrality.near import RATE, NearControl

TAP = tap_plan(0)
SERVE = """
import sys
from pathlib import Path
from invoke.context import Context
from lab.plan import tap_plan
from lab.runner import Runner
from tests.conftest import lab_on
from traces.neutrality.near import near_control

with near_control(lab_on(Runner(Context()), Path(sys.argv[1])), tap_plan(0)) as near:
    print(near.aim.port, near.aim.speaks_mptcp, flush=True)
    sys.stdin.read()
"""


class TestPace:
    def test_is_that_of_the_fastest_target(self) -> None:
        assert paced(Network(rate=30e6, mptcp_factor=0.3)) == pytest.approx(30e6, rel=0.1)
        assert paced(Network(rate=30e6), Network(rate=20e6, mptcp_factor=3)) == pytest.approx(60e6, rel=0.1)

    def test_is_no_slower_than_at_first(self) -> None:
        assert paced(Network(rate=1e6)) == RATE
        assert paced(Network(server_mptcp=False)) == RATE
        assert paced() == RATE


def paced(*networks: Network) -> float:
    simulator = Simulator(1, ttls=())
    near = NearControl(Aim("10.66.6.1", ip_address("10.66.6.1"), 80, "/", is_near=True))
    near.keep_up_with([simulator.target(network) for network in networks])
    return near.rate


@pytest.mark.netns
@pytest.mark.slow
def test_it_answers_the_guest_and_nobody_else(make_namespace: MakeNamespace, tmp_path: Path) -> None:
    host, guest, neighbour = make_namespace(), make_namespace(), make_namespace()
    host.change("sysctl", "-q", "-w", "net.mptcp.enabled=1")
    connect(host, TAP.tap, str(TAP.host), guest, str(TAP.guest))
    connect(host, "lan0", "192.0.2.1/24", neighbour, "192.0.2.2/24")
    neighbour.change("ip", "route", "add", TAP.host.network.exploded, "via", "192.0.2.1")
    with serving(host, tmp_path) as port:
        assert fetched(guest, port) == 1000
        assert fetched(neighbour, port) == 0


def connect(host: Runner, device: str, address: str, peer: Runner, peer_address: str) -> None:
    host.change("ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", peer.prefix[-1])
    for end, name, its in ((host, device, address), (peer, "eth0", peer_address)):
        end.change("ip", "address", "add", its, "dev", name)
        end.change("ip", "link", "set", name, "up")


@contextmanager
def serving(host: Runner, folder: Path) -> Iterator[int]:
    command = [*host.prefix, sys.executable, "-c", SERVE, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port, speaks = process.stdout.readline().split()
        assert speaks == "True"
        yield int(port)
        process.communicate("")


def fetched(client: Runner, port: int) -> int:
    """Octets of a body of a thousand."""
    curl = (
        "curl",
        "-s",
        "--noproxy",
        "*",
        "--max-time",
        "3",
        "--write-out",
        "%{size_download}",
        "--output",
        "/dev/null",
    )
    return int(client.probe(*curl, f"http://{TAP.host.ip}:{port}/bytes/1000").stdout)
