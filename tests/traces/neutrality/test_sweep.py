"""The prober's SYNs between two namespaces, over IPv4 and IPv6 alike: answered, refused, and left without an answer."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.runner import Runner
from tests.conftest import MakeNamespace
from traces.neutrality.json_form import probe_from_json
from traces.neutrality.model import Answer, Arm, Probe
from traces.neutrality.prober.bundle import build_prober

pytestmark = [pytest.mark.netns, pytest.mark.slow]

ADDRESSES = {4: ("10.77.1.1", "10.77.1.2", "10.77.1.9"), 6: ("fd77::1", "fd77::2", "fd77::9")}
"""Of the client, of the server, and of nobody."""
OPEN, CLOSED = 80, 81


@dataclass(frozen=True)
class Pair:
    """Client and server, directly connected."""

    client: Runner
    server: Runner
    prober: Path

    def probes(self, family: int, target: str, port: int) -> list[Probe]:
        options = ("--interface", "c0", "--repeats", "1", "--max-ttl", "1", "--patience", "0.5", "--seed", "1")
        where = ("--source", ADDRESSES[family][0], "--target", target, "--port", str(port))
        printed = self.client.read("python3", self.prober, "syns", *where, *options)
        return [probe_from_json(json.loads(line)) for line in printed.splitlines()]


@pytest.fixture
def pair(make_namespace: MakeNamespace, tmp_path: Path) -> Iterator[Pair]:
    client, server = make_namespace(), make_namespace()
    client.change("ip", "link", "add", "c0", "type", "veth", "peer", "name", "s0", "netns", server.prefix[-1])
    for number, (host, device) in enumerate(((client, "c0"), (server, "s0"))):
        for family, prefix in ((4, 24), (6, 64)):
            host.change("ip", "address", "add", f"{ADDRESSES[family][number]}/{prefix}", "dev", device)
        host.change("ip", "link", "set", device, "up")
    command = [*server.prefix, "python3", "-m", "http.server", "--bind", "::", str(OPEN)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as web:
        # Connected once: the links are up, the neighbours know each other, the server listens.
        for family in ADDRESSES:
            connect = (
                "curl",
                "-sS",
                "--output",
                "/dev/null",
                "--retry",
                "20",
                "--retry-delay",
                "1",
                "--retry-all-errors",
            )
            there = f"[{ADDRESSES[family][1]}]" if family == 6 else ADDRESSES[family][1]
            client.read(*connect, "--noproxy", "*", f"http://{there}:{OPEN}/")
        yield Pair(client, server, build_prober(tmp_path / "prober.pyz"))
        web.kill()


@pytest.mark.parametrize("family", [4, 6])
def test_syns_of_every_arm_are_answered(pair: Pair, family: int) -> None:
    probes = pair.probes(family, ADDRESSES[family][1], OPEN)
    assert {probe.arm for probe in probes} == set(Arm)
    for probe in probes:
        assert probe.answer is Answer.SYN_ACK
        assert probe.reply is not None
        assert (probe.reply.ttl, probe.reply.timestamps) == (64, True)
        assert probe.rtt is not None


@pytest.mark.parametrize("family", [4, 6])
def test_what_was_answered_is_not_left_half_open(pair: Pair, family: int) -> None:
    pair.probes(family, ADDRESSES[family][1], OPEN)
    assert pair.server.read("ss", "-Htn", "state", "syn-recv") == ""


@pytest.mark.parametrize("family", [4, 6])
def test_a_closed_port_refuses_and_nobody_is_silent(pair: Pair, family: int) -> None:
    assert {probe.answer for probe in pair.probes(family, ADDRESSES[family][1], CLOSED)} == {Answer.RST}
    assert {probe.answer for probe in pair.probes(family, ADDRESSES[family][2], OPEN)} == {Answer.NONE}


def test_no_two_probes_have_the_same_port(pair: Pair) -> None:
    counting = """table inet count {
        set ports { type inet_service; flags dynamic; size 65535; }
        chain in { type filter hook input priority 0; tcp flags & (syn | ack) == syn add @ports { tcp sport } counter; }
    }"""
    pair.server.change("nft", "-f", "-", stdin=counting)
    sent = len(pair.probes(4, ADDRESSES[4][1], OPEN))
    table = json.loads(pair.server.read("nft", "-j", "list", "table", "inet", "count"))["nftables"]
    [ports] = [one["set"]["elem"] for one in table if "set" in one]
    assert len(ports) == sent
    assert min(ports) > 60999  # above those that Linux gives to connections
