"""The mobile ISP's box: in the plan, and as it really stands."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lab.runner import Runner
from lab.testbed import render
from lab.testbed.model import DropSyns, Intercept, Lose, Namespace, Rate, Role, Service, Strip, Topology
from lab.testbed.settings import TestbedSettings
from lab.testbed.topology import topology
from tests.lab.testbed.conftest import standing
from tests.lab.testbed.inside import connect, fetch, hop, syn_ack_ttl

PLAN = topology(TestbedSettings(prefix="lab", interception=True))
BOX = next(namespace for namespace in PLAN.namespaces if namespace.name == PLAN.box)
UPLINK = "wlan1"


def test_it_is_the_fifth_router_of_the_mobile_isp_and_there_is_no_other() -> None:
    assert PLAN.box == "lab-mobile5"
    assert (BOX.role, BOX.service) == (Role.ROUTER, Service.RELAY)
    assert [namespace.name for namespace in PLAN.namespaces if namespace.interference] == [PLAN.box]


def test_without_interception_no_router_does_anything_of_its_own() -> None:
    usual = topology(TestbedSettings(prefix="lab"))
    assert not any(namespace.interference or namespace.service is Service.RELAY for namespace in usual.namespaces)


def test_the_line_is_faster_and_what_passes_the_box_slower() -> None:
    [line] = [device.egress for device in PLAN.devices_of("lab-mobile1") if device.name == "to-lab"]
    assert isinstance(line, Rate)
    assert isinstance(BOX.interference, Intercept)
    assert line.bits > 2 * BOX.interference.passing.bits


def test_only_syns_of_the_subscriber_that_do_not_ask_for_mptcp_are_redirected() -> None:
    ruleset = render.ruleset(BOX)
    assert 'iifname "to-mobile4" tcp flags & (syn | ack) == syn tcp option mptcp missing redirect to :8880' in ruleset


def test_the_box_answers_with_a_ttl_of_its_own_and_speaks_no_mptcp() -> None:
    lines = render.sysctls(BOX).splitlines()
    assert "net.ipv4.ip_default_ttl = 128" in lines
    assert "net.mptcp.enabled = 0" in lines


@pytest.mark.parametrize(
    ("interference", "rule"),
    [
        (Strip(), "reset tcp option mptcp"),
        (DropSyns(), "tcp flags & (syn | ack) == syn tcp option mptcp exists drop"),
        (Lose(20), "numgen random mod 1000 < 20 drop"),
    ],
)
def test_each_other_interference_is_one_rule(interference: Strip | DropSyns | Lose, rule: str) -> None:
    router = Namespace("r", Role.ROUTER, interference=interference)
    assert rule in render.ruleset(router)
    assert render.ruleset(replace(router, interference=None)) == ""


@pytest.fixture(scope="module")
def intercepted(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    settings = TestbedSettings(prefix=f"x{os.getpid()}", interception=True)
    with standing(settings, runner, tmp_path_factory.mktemp("interception")) as plan:
        yield plan


@pytest.mark.netns
@pytest.mark.slow
class TestAsItStands:
    @pytest.mark.parametrize(
        ("name", "mptcp", "ttl"),
        [
            ("mptcp.test", False, 124),
            ("plain.test", False, 124),
            ("mptcp.test", True, 51),
            ("plain.test", True, 51),
            ("far.mptcp.test", True, 49),
        ],
    )
    def test_plain_tcp_is_answered_by_the_box_and_mptcp_by_the_server(
        self, intercepted: Topology, name: str, mptcp: bool, ttl: int
    ) -> None:
        assert syn_ack_ttl(intercepted.lab, UPLINK, intercepted.address_of(name), mptcp=mptcp) == ttl

    @pytest.mark.parametrize("mptcp", [False, True])
    def test_the_fixed_line_passes_both(self, intercepted: Topology, mptcp: bool) -> None:
        assert syn_ack_ttl(intercepted.lab, "wlp1s0", intercepted.address_of("mptcp.test"), mptcp=mptcp) == 55

    @pytest.mark.parametrize("mptcp", [False, True])
    def test_what_is_fetched_is_whole_either_way(self, intercepted: Topology, mptcp: bool) -> None:
        with connect(intercepted.lab, intercepted.address_of("mptcp.test"), uplink=UPLINK, mptcp=mptcp) as stream:
            answer = fetch(stream, "/bytes/1M")
            assert answer.headers["X-SHA256"] == hashlib.sha256(answer.body).hexdigest()
            assert fetch(stream, "/connection.json").data["mptcp"] == mptcp

    def test_the_relay_is_behind_the_same_translator(self, intercepted: Topology) -> None:
        with connect(intercepted.lab, intercepted.address_of("plain.test"), uplink=UPLINK) as stream:
            assert fetch(stream, "/connection.json").data["client"] == "198.18.2.0"

    def test_where_no_server_is_the_box_answers_and_then_has_nothing_to_say(self, intercepted: Topology) -> None:
        with connect(intercepted.lab, intercepted.address_of("core1.test"), uplink=UPLINK) as stream:
            assert stream.recv(1) == b""

    def test_no_router_tells_of_a_ttl_that_is_used_up(self, intercepted: Topology) -> None:
        server = intercepted.address_of("mptcp.test")
        assert [hop(intercepted.lab, UPLINK, server, ttl, patience=0.3) for ttl in (1, 3, 9)] == [None] * 3
        assert hop(intercepted.lab, "wlp1s0", server, 3) is not None
