"""What the emulated internet's servers say about a connection is true."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from lab.runner import Runner
from lab.testbed.build import exec_prefix
from lab.testbed.model import Topology
from lab.testbed.web.server import NAY, YAY
from tests.lab.testbed.inside import connect, fetch

pytestmark = [pytest.mark.netns, pytest.mark.slow]


@pytest.mark.parametrize(
    ("server", "mptcp", "sentence"),
    [
        ("mptcp.test", True, YAY),
        ("far.mptcp.test", True, YAY),
        ("mptcp.test", False, NAY),
        ("plain.test", True, NAY),
        ("plain.test", False, NAY),
    ],
)
@pytest.mark.parametrize("uplink", ["wlp1s0", "wlan1"])
def test_the_sentence_tells_what_both_ends_spoke(
    testbed: Topology, server: str, mptcp: bool, sentence: str, uplink: str
) -> None:
    with connect(testbed.lab, testbed.address_of(server), mptcp=mptcp, uplink=uplink) as stream:
        assert fetch(stream, "/").text == f"{sentence}\n"


@pytest.fixture
def stripped(testbed: Topology, runner: Runner) -> Iterator[None]:
    """The home gateway removes MPTCP from all but the SYNs, so that both ends begin with it and then lose it."""
    gateway = runner.inside(*exec_prefix(testbed.lab.replace("-lab", "-fixed1")))
    rules = """
        table ip strip {
            chain forward {
                type filter hook forward priority mangle;
                tcp flags & syn == 0 reset tcp option mptcp
            }
        }
    """
    gateway.change("nft", "-f", "-", stdin=rules)
    yield
    gateway.change("nft", "delete", "table", "ip", "strip")


def test_a_connection_that_lost_its_options_on_the_way_is_none(testbed: Topology, stripped: None) -> None:
    with connect(testbed.lab, testbed.address_of("mptcp.test"), mptcp=True, uplink="wlp1s0") as stream:
        assert fetch(stream, "/").text == f"{NAY}\n"


def test_the_digest_is_that_of_what_arrives(testbed: Topology) -> None:
    with connect(testbed.lab, testbed.address_of("mptcp.test"), uplink="wlp1s0") as stream:
        answer = fetch(stream, "/bytes/2M")
        promised = fetch(stream, "/bytes/2M.sha256").text.strip()
    assert hashlib.sha256(answer.body).hexdigest() == promised == answer.headers["X-SHA256"]


def test_every_server_serves_the_same_octets(testbed: Topology) -> None:
    digests = set()
    for name in ("mptcp.test", "far.mptcp.test", "plain.test"):
        with connect(testbed.lab, testbed.address_of(name)) as stream:
            digests.add(fetch(stream, "/bytes/10M.sha256").text)
    assert len(digests) == 1


@pytest.fixture
def two_subflows(testbed: Topology, runner: Runner) -> Iterator[None]:
    """The lab host itself as an MPTCP client: an endpoint and a routing table for each uplink."""
    uplinks = (("192.168.1.100", "192.168.1.1", "wlp1s0", 101), ("100.64.1.100", "100.64.1.1", "wlan1", 102))
    lines = ["mptcp limits set subflows 2"]
    for address, gateway, device, table in uplinks:
        lines += [
            f"route add default via {gateway} dev {device} table {table}",
            f"rule add from {address} lookup {table}",
            f"mptcp endpoint add {address} dev {device} id {table} subflow",
        ]
    runner.change("ip", "-n", testbed.lab, "-batch", "-", stdin="\n".join(lines))
    yield
    undo = ["mptcp endpoint flush"]
    undo += [line for *_, t in uplinks for line in (f"rule delete lookup {t}", f"route flush table {t}")]
    runner.change("ip", "-n", testbed.lab, "-batch", "-", stdin="\n".join(undo))


def test_two_subflows_pass_both_translators_and_both_carry_data(
    testbed: Topology, runner: Runner, two_subflows: None
) -> None:
    before = _octets_down(testbed, runner)
    with connect(testbed.lab, testbed.address_of("mptcp.test"), mptcp=True) as stream:
        answer = fetch(stream, "/bytes/4M")
        connection = fetch(stream, "/connection.json").data
    after = _octets_down(testbed, runner)
    assert hashlib.sha256(answer.body).hexdigest() == answer.headers["X-SHA256"]
    assert (connection["mptcp"], connection["subflows"]) == (True, 2)
    assert all(after[uplink] - before[uplink] > 400_000 for uplink in after)


def _octets_down(testbed: Topology, runner: Runner) -> dict[str, int]:
    """What each uplink has received so far."""
    devices = runner.read_json("ip", "-n", testbed.lab, "-s", "-j", "link", "show")
    return {d["ifname"]: d["stats64"]["rx"]["bytes"] for d in devices if d["ifname"] in {"wlp1s0", "wlan1"}}
