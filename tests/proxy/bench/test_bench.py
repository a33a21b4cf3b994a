"""The benchmark measures every proxy in every mode, notices wrong octets, and judges by the bars."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest
from invoke.context import Context

from lab.errors import MpsocksError
from lab.runner import Runner
from lab.settings import Settings
from tests.conftest import lab_on
from tests.proxy.bench.bars import Bar, median_of, ratio_of
from tests.proxy.bench.contenders import CONTENDERS, DANTE, DIRECT, OURS_5, OURS_6, Contender, Place
from tests.proxy.bench.load import Load, Mode, Protocol, build_load
from tests.proxy.bench.packages import OtherProxies
from tests.proxy.bench.processes import cpu_seconds, listening_sockets, proportional_kib
from tests.proxy.bench.rounds import Metric, Round
from tests.proxy.bench.run import run_bench_proxy
from tests.proxy.bench.summary import ENOUGH_ROUNDS, Summary
from tests.proxy.peers import listening_socket, serving

NO_OTHERS = OtherProxies(Path("/nonexistent"))
NOT_FOR_DIRECT = {metric for metric in Metric if "CPU" in metric or metric is Metric.IDLE}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def summary(folder: Path) -> Summary:
    """A round of tiny measurements through the real programs."""
    # The host's own cache, where the packages of the other proxies are.
    lab = lab_on(Runner(Context()), folder, Settings(state=str(folder / "state")))
    return run_bench_proxy(lab, rounds=1, seconds=0.2, quick=True, folder=folder / "found")


@pytest.fixture(scope="module")
def program(folder: Path) -> Path:
    lab = lab_on(Runner(Context()), folder)
    return build_load(lab.cache, lab.host)


@pytest.mark.slow
@pytest.mark.netns
@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: str(contender.key))
def test_every_contender_is_measured_by_every_metric(summary: Summary, contender: Contender) -> None:
    (values,) = summary.rounds
    expected = set(Metric) - (NOT_FOR_DIRECT if contender is DIRECT else set())
    assert set(values[contender.key]) == expected
    for metric in expected & {Metric.CONNECTIONS, Metric.ROUND_TRIPS, Metric.DOWN, Metric.UP}:
        assert values[contender.key][metric] > 0


@pytest.mark.slow
@pytest.mark.netns
def test_no_connection_through_our_proxy_fails(summary: Summary) -> None:
    for ours in (OURS_5, OURS_6):
        assert median_of(summary.rounds, Metric.FAILED, ours) == 0


@pytest.mark.slow
@pytest.mark.netns
def test_figures_and_chart_are_kept(summary: Summary, folder: Path) -> None:
    kept = json.loads((folder / "found" / "proxy.json").read_text())
    assert set(kept["medians"]) == {contender.key for contender in summary.contenders}
    assert kept["rounds"] == json.loads(json.dumps(summary.rounds))
    drawn = (folder / "found" / "proxy.svg").read_text()
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    assert "mpsocks SOCKSv6" in drawn


def flip(connection: socket.socket) -> None:
    """An echo with one wrong bit."""
    data = connection.recv(64)
    connection.sendall(data[:-1] + bytes([data[-1] ^ 1]))


def send_zeros(connection: socket.socket) -> None:
    connection.sendall(bytes(1000))


def hang_up(connection: socket.socket) -> None:
    connection.recv(64)


@pytest.mark.parametrize(
    ("mode", "serve", "complaint"),
    [
        (Mode.CONNECTIONS, flip, "a wrong octet in an echo"),
        (Mode.ROUND_TRIPS, flip, "a wrong octet in an echo"),
        (Mode.ROUND_TRIPS, hang_up, "a connection failed"),
        (Mode.DOWN, send_zeros, "a wrong octet in a bulk stream"),
    ],
)
def test_the_load_notices_what_is_wrong(
    program: Path, mode: Mode, serve: Callable[[socket.socket], None], complaint: str
) -> None:
    with serving(serve) as port:
        load = Load(program, (), port - 1 if mode is Mode.DOWN else port)
        with pytest.raises(MpsocksError, match=complaint):
            load.measure(mode, Protocol.DIRECT, 0, 1, 1.0)


def test_the_load_counts_connections_that_fail(program: Path) -> None:
    with serving(hang_up) as port:
        outcome = Load(program, (), port).measure(Mode.CONNECTIONS, Protocol.DIRECT, 0, 1, 0.1)
    assert outcome.done == 0
    assert outcome.failed > 0


def rounds(metric: Metric, **values: list[float]) -> tuple[Round, ...]:
    """Rounds with one metric: the values of each contender."""
    return tuple(
        {key: {metric: value} for key, value in zip(values, row, strict=True)}
        for row in zip(*values.values(), strict=True)
    )


def test_ratios_are_taken_within_each_round() -> None:
    slow_in_the_middle = rounds(Metric.UP, socks5=[20.0, 4.0, 24.0], dante=[10.0, 2.0, 8.0])
    assert median_of(slow_in_the_middle, Metric.UP, DANTE) == 8.0
    assert ratio_of(slow_in_the_middle, Metric.UP, OURS_5, DANTE) == 2.0


@pytest.mark.parametrize(("ours", "missed"), [(12.9, True), (13.0, False)])
def test_a_bar_is_a_floor_for_a_ratio(ours: float, missed: bool) -> None:
    found = rounds(Metric.UP, socks5=[ours], dante=[10.0])
    bar = Bar(OURS_5, Metric.UP, 1.3, DANTE)
    assert bar.is_missed(found) is missed
    assert bar.line(found).startswith("MISSED" if missed else "met")


@pytest.mark.parametrize(("kib", "missed"), [(8.1, True), (8.0, False)])
def test_a_bar_without_reference_is_a_ceiling(kib: float, missed: bool) -> None:
    assert Bar(OURS_5, Metric.IDLE, 8.0).is_missed(rounds(Metric.IDLE, socks5=[kib])) is missed


def test_what_was_not_measured_counts_as_missed() -> None:
    found = rounds(Metric.UP, dante=[10.0], socks5=[13.0])
    assert not Bar(OURS_5, Metric.UP, 1.3, DANTE).is_missed(found)
    assert Bar(OURS_5, Metric.DOWN, 1.3, DANTE).is_missed(found)
    assert Summary((DANTE, OURS_5), found * ENOUGH_ROUNDS, 1.0).exit_code == 1


def test_reaching_every_bar_ends_well() -> None:
    worth = {"direct": 9.0, "dante": 1.0, "microsocks": 1.0, "socks5": 3.0, "socks6": 4.0}
    found: Round = {key: dict.fromkeys(Metric, value) | {Metric.FAILED: 0.0} for key, value in worth.items()}
    summary = Summary(CONTENDERS, (found,) * ENOUGH_ROUNDS, 1.0)
    assert summary.exit_code == 0
    text = "\n".join(summary.lines())
    assert "met " in text
    assert "MISSED" not in text
    assert "3 (3.00 x)" in text


def test_few_rounds_are_not_judged() -> None:
    summary = Summary((DANTE, OURS_5), rounds(Metric.UP, dante=[10.0], socks5=[1.0]), 1.0)
    assert summary.exit_code == 0
    assert summary.lines()[-1].startswith("not judged")


@contextmanager
def python_that(work: str) -> Iterator[int]:
    """A Python process that has done `work` and now waits; its process number."""
    code = f"import subprocess, sys, time\n{work}\nprint(flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


@pytest.mark.parametrize(("load_average", "warned"), [(0.2, False), (3.0, True)])
def test_figures_of_a_busy_machine_come_with_a_warning(load_average: float, warned: bool) -> None:
    found = rounds(Metric.UP, direct=[100.0], socks5=[50.0])
    summary = Summary((DIRECT, OURS_5), found, 1.0, load_average)
    assert any("busy" in line for line in summary.lines()) is warned


def test_processor_time_counts_children_that_have_ended() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    with python_that(f"subprocess.run([sys.executable, '-c', {burn!r}])") as pid:
        assert cpu_seconds(pid) > 0.15  # it is counted in ticks of 10 ms, user and system apart


def test_memory_counts_children() -> None:
    before = proportional_kib(os.getpid())
    with python_that("held = b'x' * (32 << 20)"):
        assert proportional_kib(os.getpid()) - before > 31 << 10


def test_a_contender_that_does_not_start_says_why(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no such thing >&2; exit 1"]
    broken = Contender("broken", "broken", Protocol.SOCKS5, 9, argv=lambda _port, _place: command)
    with pytest.raises(MpsocksError, match="no such thing"), broken.running(Place((), tmp_path, NO_OTHERS)):
        raise AssertionError("it runs")


@pytest.mark.slow
def test_the_processes_that_a_contender_leaves_behind_are_ended(tmp_path: Path) -> None:
    with listening_socket() as listener:
        port = listener.getsockname()[1]
        command = ["sh", "-c", "sleep 60 & echo $! > child; exec sleep 60"]
        family = Contender("family", "family", Protocol.SOCKS5, port, argv=lambda _port, _place: command)
        with family.running(Place(("env", "-C", str(tmp_path)), tmp_path, NO_OTHERS)):
            written = tmp_path / "child"
            while not (written.exists() and written.read_text()):
                time.sleep(0.01)
            child = int(written.read_text())
    assert not Path(f"/proc/{child}").exists()


def test_listening_sockets_are_seen() -> None:
    with listening_socket() as listener:
        assert listening_sockets(os.getpid(), listener.getsockname()[1]) == 1
