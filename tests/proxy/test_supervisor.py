"""Workers that cannot begin, and telling the service manager."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.notify import notify
from tests.proxy.peers import receive_exactly, socks5_request, tunnel
from tests.proxy.running import ONE_WORKER, PATIENCE, RunningProxy
from tests.proxy.waiting import eventually

pytestmark = pytest.mark.slow

METRICS = ("--set", 'operations.metrics="127.0.0.1:0"')
SPOILT = """
import sys, time
from pathlib import Path
from proxy import cli, supervisor
from proxy.options import StartError

class Worker(supervisor.Worker):
    def __init__(self, *given, **named):
        how = Path(sys.argv[1]).read_text()
        if how == "refuse":
            raise StartError("no luck")
        if how == "crash":
            raise ZeroDivisionError
        if how == "hang":
            time.sleep(3600)
        super().__init__(*given, **named)

supervisor.Worker = Worker
supervisor.START_SECONDS = 0.5
sys.exit(cli.main(sys.argv[5:]))
"""
"""Runs the proxy with workers that do not begin as long as a file says so."""


@contextmanager
def spoilt(file: Path) -> Iterator[RunningProxy]:
    """A proxy that begins well."""
    file.write_text("")
    with RunningProxy(*ONE_WORKER, *METRICS, prefix=(sys.executable, "-c", SPOILT, str(file))) as proxy:
        yield proxy


def serves(proxy: RunningProxy, port: int) -> bool:
    with tunnel(proxy.address, socks5_request("127.0.0.1", port)) as t:
        t.socket.sendall(b"hello")
        return receive_exactly(t.socket, 5) == b"hello"


def children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def events(proxy: RunningProxy) -> list[str]:
    return [line["event"] for line in proxy.lines]


@pytest.mark.parametrize(("how", "told"), [("refuse", "worker failed"), ("crash", "defect"), ("hang", "worker ended")])
def test_a_reload_whose_workers_do_not_begin_changes_nothing(
    tmp_path: Path, echo_port: int, how: str, told: str
) -> None:
    with spoilt(tmp_path / "how") as proxy:
        before = children(proxy.pid)
        (tmp_path / "how").write_text(how)
        proxy.signal(signal.SIGHUP)
        refused = proxy.wait_for(lambda line: line["event"] == "reload refused")
        assert "a worker ended before it was ready" in refused["why"]
        proxy.wait_for(lambda line: line["event"] == told)
        assert eventually(lambda: children(proxy.pid) == before)
        assert serves(proxy, echo_port)
        (tmp_path / "how").write_text("")
        proxy.signal(signal.SIGHUP)
        proxy.wait_for(lambda line: line["event"] == "reloaded")
        assert serves(proxy, echo_port)


@pytest.mark.slow
def test_a_worker_that_cannot_be_replaced_is_tried_again(tmp_path: Path, echo_port: int) -> None:
    with spoilt(tmp_path / "how") as proxy:
        (tmp_path / "how").write_text("crash")
        os.kill(proxy.workers[0], signal.SIGKILL)
        assert eventually(lambda: events(proxy).count("defect") >= 2)
        (tmp_path / "how").write_text("")
        assert serves(proxy, echo_port)
        assert "worker started" in events(proxy)


def test_a_proxy_whose_workers_do_not_begin_ends(tmp_path: Path) -> None:
    (tmp_path / "how").write_text("refuse")
    with pytest.raises(AssertionError, match=r"no luck.*a worker ended before it was ready: see the lines above"):
        RunningProxy(*ONE_WORKER, prefix=(sys.executable, "-c", SPOILT, str(tmp_path / "how")))


def test_an_exporter_that_dies_is_replaced_after_a_while() -> None:
    with RunningProxy(*ONE_WORKER, *METRICS) as proxy:
        for times in (1, 2):
            assert eventually(lambda: len(children(proxy.pid)) == 2)
            (exporter,) = children(proxy.pid) - set(proxy.workers)
            os.kill(exporter, signal.SIGKILL)
            assert eventually(lambda times=times: events(proxy).count("exporter ended") == times)  # type: ignore[misc]


def test_without_a_service_manager_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")


def test_the_service_manager_may_be_named_in_the_abstract_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(PATIENCE)
        manager.bind("")  # the kernel chooses an abstract name
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + manager.getsockname()[1:].decode())
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"
