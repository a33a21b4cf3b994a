"""What `check-neutrality` makes of what it measured, before anything is judged."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from lab.errors import MpsocksError
from lab.plan import tap_plan
from lab.runner import Runner
from tests.conftest import lab_on
from traces.neutrality.check import Plan, check_neutrality, for_table, known_speakers, ttl_offset
from traces.neutrality.measuring import Aim, Extent
from traces.neutrality.model import Answer, Arm, Measurement, Probe, Reply, TableRow, Target
from traces.neutrality.targets import Wanted

REPLY = Reply(ttl=51, window=65160, mss=1460, scale=7, options=(2, 4, 8, 1, 3, 30), timestamps=True, mptcp=True)
AGREED = Probe(Arm.V1, 64, Answer.SYN_ACK, 0.01, REPLY)
PLAINLY = replace(AGREED, reply=replace(REPLY, mptcp=False))


def measurement(uplink: str, probe: Probe, speaks: bool | None = None) -> Measurement:
    return Measurement(uplink, 1, (Target("a.test:80", speaks, False, (probe,), ()),))


def test_who_answers_mptcp_over_one_uplink_speaks_it_on_all() -> None:
    both = [measurement("wlp1s0", AGREED), measurement("wlan1", PLAINLY)]
    assert [known_speakers(one, both).targets[0].speaks_mptcp for one in both] == [True, True]


def test_who_never_does_is_not_known_to() -> None:
    both = [measurement("wlp1s0", PLAINLY), measurement("wlan1", PLAINLY)]
    assert [known_speakers(one, both).targets[0].speaks_mptcp for one in both] == [None, None]


def test_what_a_person_said_stays() -> None:
    one = measurement("wlan1", AGREED, speaks=False)
    assert known_speakers(one, [one]).targets[0].speaks_mptcp is False


def row(name: str, ttl: int) -> TableRow:
    return TableRow(name, ttl, 51, answered=True)


def test_the_ttl_that_is_lost_before_the_uplink_is_read_off_the_captures() -> None:
    assert ttl_offset((row("mptcp_ttl10", 9), row("mptcp_ttl64", 63))) == 1
    assert ttl_offset((row("mptcp_ttl10", 8), row("mptcp_ttl64", 62))) == 2


def test_ttls_that_do_not_follow_those_of_the_guest_are_an_error() -> None:
    with pytest.raises(MpsocksError, match="do not follow"):
        ttl_offset((row("mptcp_ttl10", 64), row("mptcp_ttl64", 64)))


def test_a_target_without_a_usable_address_is_refused_before_anything_is_done(here: Runner, tmp_path: Path) -> None:
    lab = lab_on(here, tmp_path)
    targets = (Wanted("192.0.2.7", 80, "/", True), Wanted("2001:db8::7", 80, "/", False))
    with pytest.raises(MpsocksError, match=r"no IPv4 address of 2001:db8::7"):
        check_neutrality(lab, Plan(((tap_plan(0), "wlan1"),), targets, Extent(), 1000))
    assert list(tmp_path.iterdir()) == []


def aim(host: str, speaks: bool | None) -> Aim:
    return Aim(host, ip_address("192.0.2.7"), 80, "/", speaks)


@pytest.mark.parametrize(
    ("speaks", "chosen"),
    [
        ((True, True, False), ("0", "1")),
        ((False, True, None), ("1", "1")),
        ((False, None, None), ("1", "2")),
        ((False, False), ("0", "1")),
    ],
)
def test_the_table_goes_to_servers_that_speak_mptcp_two_where_there_are_two(
    speaks: tuple[bool | None, ...], chosen: tuple[str, str]
) -> None:
    short, bulk = for_table([aim(str(number), one) for number, one in enumerate(speaks)])
    assert (short.host, bulk.host) == chosen
