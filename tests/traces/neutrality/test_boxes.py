"""Every emulated box, by its effect on single probes and on one download of each kind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.context import Context

from lab.runner import Runner
from tests.conftest import lab_on
from traces.neutrality.boxes import QUICK, Box, EmulatedPath, measure_path, standing
from traces.neutrality.json_form import measurement_as_json, measurement_from_json
from traces.neutrality.measuring import Extent, download_options
from traces.neutrality.model import Answer, Arm, Measurement, Probe, Target
from traces.neutrality.prober.plan import Effort, lowest_answered

pytestmark = [pytest.mark.netns, pytest.mark.slow]

ONCE = Extent(Effort(repeats=1, max_ttl=7), QUICK.pace, pairs=1, octets=300_000, seconds=10)
MPTCP_ARMS = (Arm.V1, Arm.V0)
PLAIN_ARMS = (Arm.PLAIN, Arm.DUMMY)
WEB_HOP = 5
BOX_HOP = 3


@pytest.fixture(scope="module", params=list(Box), ids=str)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Box, Measurement]]:
    """A box, and one measurement through it."""
    lab = lab_on(Runner(Context()), tmp_path_factory.mktemp("box"))
    box: Box = request.param
    with standing(box, lab, f"b{os.getpid()}") as path:
        yield box, measured(path)
    assert lab.journal.entries() == []


def measured(path: EmulatedPath) -> Measurement:
    return measure_path(path, seed=1, extent=ONCE)


def target(measurement: Measurement, name: str) -> Target:
    return next(one for one in measurement.targets if one.name.startswith(name))


def at(probes: tuple[Probe, ...], arm: Arm, ttl: int) -> list[Probe]:
    return [probe for probe in probes if (probe.arm, probe.ttl) == (arm, ttl)]


def hops(one: Target) -> dict[Arm, int | None]:
    return {arm: lowest_answered(one.probes, arm) for arm in Arm}


def test_syns_of_each_arm_are_answered_from_where_the_box_has_them_answered(seen: tuple[Box, Measurement]) -> None:
    box, measurement = seen
    expected: dict[Arm, int | None] = dict.fromkeys(Arm, WEB_HOP)
    if box is Box.INTERCEPTING:
        expected |= dict.fromkeys(PLAIN_ARMS, BOX_HOP)
    if box is Box.SYN_DROPPING:
        expected |= dict.fromkeys(MPTCP_ARMS, None)
    for name in ("web", "plain"):
        found = hops(target(measurement, name))
        if box is Box.LOSSY:
            assert all(hop is None or hop >= WEB_HOP for hop in found.values())
        else:
            assert found == expected
    assert hops(target(measurement, "near")) == dict.fromkeys(Arm, 2)


def test_who_answers_shows_in_the_replies(seen: tuple[Box, Measurement]) -> None:
    box, measurement = seen
    replies = {probe.arm: probe.reply for probe in target(measurement, "web").probes if probe.reply}
    if box is Box.INTERCEPTING:
        assert {replies[arm].ttl for arm in PLAIN_ARMS} == {128 - BOX_HOP + 1}
        assert {replies[arm].ttl for arm in MPTCP_ARMS} == {64 - WEB_HOP + 1}
    else:
        assert {reply.ttl for reply in replies.values()} == {64 - WEB_HOP + 1}
    mptcp = {arm for arm, reply in replies.items() if reply.mptcp}
    assert mptcp == (set() if box in {Box.STRIPPING, Box.SYN_DROPPING} else {Arm.V1})


def test_quotes_show_where_an_option_is_stripped(seen: tuple[Box, Measurement]) -> None:
    box, measurement = seen
    for arm in Arm:
        quotes = {
            probe.ttl: probe.quote.changed
            for probe in target(measurement, "web").probes
            if probe.arm is arm and probe.quote
        }
        stripped = box is Box.STRIPPING and arm in MPTCP_ARMS
        beyond = {ttl for ttl, changed in quotes.items() if changed}
        assert beyond == ({BOX_HOP + 1} if stripped else set())
        assert all(changed in {(), ("option 30",)} for changed in quotes.values())


def test_routers_tell_of_each_syn_whose_ttl_ends_before_the_box(seen: tuple[Box, Measurement]) -> None:
    _, measurement = seen
    for arm in Arm:
        for ttl in range(1, BOX_HOP):
            for probe in at(target(measurement, "web").probes, arm, ttl):
                assert probe.answer is Answer.TIME_EXCEEDED
                assert probe.quote is not None
                assert probe.quote.has_options


def test_downloads_go_through_or_not_and_with_mptcp_or_not(seen: tuple[Box, Measurement]) -> None:
    box, measurement = seen
    assert target(measurement, "plain").pairs == ()  # known not to speak MPTCP: there is nothing to compare
    for name in ("web", "near"):
        is_dropped = box is Box.SYN_DROPPING and name == "web"
        is_agreed = name == "near" or box not in {Box.STRIPPING, Box.SYN_DROPPING}
        pairs = target(measurement, name).pairs
        assert [(plain.complete, plain.agreed) for plain, _ in pairs] == [(True, False)] * len(pairs)
        assert {(one.complete, one.agreed) for _, one in pairs} == {(not is_dropped, is_agreed)}


def test_what_passes_the_intercepting_box_has_a_slower_class_of_its_own(tmp_path: Path) -> None:
    lab = lab_on(Runner(Context()), tmp_path)
    with standing(Box.INTERCEPTING, lab, f"i{os.getpid()}") as path:
        passed = []
        for multipath in (False, True):
            options = {**download_options(path.aims[0], 300_000, 10, 2), "mptcp": multipath}
            path.vantage.probe("fetch", options, seconds=20)
            passed.append(octets_past_the_box(path, lab.host))
    assert passed[0] == 0
    assert passed[1] > 300_000


def octets_past_the_box(path: EmulatedPath, host: Runner) -> int:
    """Of the class for what is not intercepted."""
    box = path.vantage.runner.prefix[-1].replace("-client", f"-r{BOX_HOP}")
    qdiscs = host.read_json("tc", "-n", box, "-s", "-j", "qdisc", "show", "dev", f"to-r{BOX_HOP - 1}")
    return int(next(one["bytes"] for one in qdiscs if one["kind"] == "tbf"))


def test_a_measurement_survives_being_written_down(seen: tuple[Box, Measurement]) -> None:
    _, measurement = seen
    assert measurement_from_json(json.loads(json.dumps(measurement_as_json(measurement)))) == measurement


def test_nothing_of_the_lab_is_left_in_its_folder(tmp_path: Path) -> None:
    lab = lab_on(Runner(Context()), tmp_path)
    with standing(Box.CLEAN, lab, f"c{os.getpid()}") as path:
        client = path.vantage.runner.prefix[-1]
        assert Path("/run/netns", client).exists()
    assert not Path("/run/netns", client).exists()
    assert not list(lab.state.glob("boxes/*"))
