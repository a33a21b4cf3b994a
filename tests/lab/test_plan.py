"""The addressing plan is the origin project's: everything follows from the tap's number."""

from __future__ import annotations

import re
from ipaddress import ip_network

import pytest

from lab.errors import BadInputError
from lab.plan import LAB_NETWORK, MAX_TAPS, TapPlan, tap_plan, tap_plans

EVERY_TAP = [tap_plan(n) for n in range(MAX_TAPS)]


def test_the_first_two_taps_have_the_origins_numbers() -> None:
    wlan, tether = tap_plans(2)
    assert (wlan.tap, str(wlan.host), str(wlan.guest), wlan.table) == ("mptcp0", "10.66.6.1/24", "10.66.6.2/24", 665)
    assert (tether.tap, str(tether.host), str(tether.guest), tether.table) == (
        *("mptcp1", "10.66.7.1/24", "10.66.7.2/24"), 666,
    )  # fmt: skip


@pytest.mark.parametrize("plan", EVERY_TAP, ids=lambda plan: plan.tap)
def test_both_ends_of_a_tap_share_a_network_inside_the_labs(plan: TapPlan) -> None:
    assert plan.host.network == plan.guest.network
    assert plan.host.ip != plan.guest.ip
    assert plan.guest.network.subnet_of(ip_network(LAB_NETWORK))  # type: ignore[arg-type]


def test_no_two_taps_share_anything() -> None:
    for field in ("tap", "mac", "host", "guest", "table"):
        assert len({getattr(plan, field) for plan in EVERY_TAP}) == MAX_TAPS
    assert not any(a.guest.network.overlaps(b.guest.network) for a in EVERY_TAP for b in EVERY_TAP if a.n < b.n)


@pytest.mark.parametrize("plan", EVERY_TAP, ids=lambda plan: plan.tap)
def test_macs_are_unicast_and_tables_avoid_the_kernels_own(plan: TapPlan) -> None:
    assert re.fullmatch(r"52:54:00(:[0-9a-f]{2}){3}", plan.mac)
    assert 0 < plan.table < 32766
    assert plan.table not in (253, 254, 255)


@pytest.mark.parametrize("n", [-1, MAX_TAPS, 9, 1000])
def test_a_tap_that_cannot_be_is_refused_with_the_range(n: int) -> None:
    with pytest.raises(BadInputError, match=f"there is no tap {n}") as refused:
        tap_plan(n)
    assert "0 to 7" in refused.value.hint


def test_as_many_plans_as_uplinks_are_named_and_at_least_one() -> None:
    assert [plan.n for plan in tap_plans(3)] == [0, 1, 2]
    with pytest.raises(BadInputError, match="no uplink"):
        tap_plans(0)
    with pytest.raises(BadInputError, match="no tap 8"):
        tap_plans(MAX_TAPS + 1)
