"""Very many connections: at the same time, and one after the other."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.runner import Runner
from tests.conftest import lab_on
from tests.proxy.bench.load import Load, Mode, Protocol, build_load
from tests.proxy.bench.rounds import CONCURRENT
from tests.proxy.bench.run import SYSCTLS, TARGET_PORT
from tests.proxy.footprint import descriptors, memory, resident
from tests.proxy.running import LOOPBACK, RunningProxy
from tests.proxy.waiting import eventually

pytestmark = [pytest.mark.netns, pytest.mark.slow]
EITHER_VERSION = pytest.mark.parametrize("protocol", [Protocol.SOCKS5, Protocol.SOCKS6])
MOST_DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
OF_THE_PROXY_ITSELF = 400
AT_ONCE = min(9500, (MOST_DESCRIPTORS - OF_THE_PROXY_ITSELF) // 2)
MOST_MEMORY = 120 << 20
IN_A_ROW = 100_000
SECONDS = 3.0
MOST_SPELLS = 60
GROWTH = 2 << 20
"""Less than the smallest object for each connection would come to, and more than log lines that had to wait once."""


@contextmanager
def loaded(netns: Runner, folder: Path) -> Iterator[tuple[RunningProxy, Load]]:
    """A proxy of one worker in the namespace, and clients with their target."""
    lab = lab_on(Runner(netns.context), folder)
    netns.change("sysctl", "-q", "-w", *SYSCTLS)
    load = Load(build_load(lab.cache, lab.host), netns.prefix, TARGET_PORT)
    with RunningProxy(
        "serve", "--listen", "127.0.0.1:0", "--workers", "1", *LOOPBACK,
        prefix=netns.prefix, nofile=MOST_DESCRIPTORS,
    ) as proxy, load.target():  # fmt: skip
        yield proxy, load


@EITHER_VERSION
def test_thousands_of_idle_connections_cost_little(netns: Runner, tmp_path: Path, protocol: Protocol) -> None:
    with loaded(netns, tmp_path) as (proxy, load):
        worker = proxy.workers[0]
        before = descriptors(worker)
        with load.idle(protocol, proxy.address[1], AT_ONCE):
            assert descriptors(worker) >= before + 2 * AT_ONCE
            assert resident(worker) < MOST_MEMORY
        assert eventually(lambda: descriptors(worker) <= before)


@EITHER_VERSION
def test_a_hundred_thousand_connections_leave_nothing_behind(netns: Runner, tmp_path: Path, protocol: Protocol) -> None:
    with loaded(netns, tmp_path) as (proxy, load):
        worker, port = proxy.workers[0], proxy.address[1]

        def spell() -> int:
            outcome = load.measure(Mode.CONNECTIONS, protocol, port, CONCURRENT, SECONDS)
            assert outcome.failed == 0
            return outcome.done

        done = spell()
        held, grown = descriptors(worker), memory(worker)
        for _ in range(MOST_SPELLS):
            if done >= IN_A_ROW:
                break
            done += spell()
        assert done >= IN_A_ROW
        assert eventually(lambda: descriptors(worker) <= held)
        assert memory(worker) - grown < GROWTH
