"""`mpsocks top`: the live connections, as the workers tell them."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy import top
from proxy.control import MOST_ASKERS, Control, prepare_folder, socket_path
from proxy.log import Log, Record
from proxy.loop import Loop
from proxy.options import StartError
from proxy.session import Stage
from proxy.top import HOME, Rates, ask, size, table
from tests.proxy.forking import run_proxy
from tests.proxy.peers import connected_socket, receive_exactly, socks5_request, tunnel
from tests.proxy.running import LOOPBACK, ONE_WORKER, PATIENCE, ROOT, RunningProxy
from tests.proxy.waiting import eventually

CONNECTION = {
    "worker": 1, "client": "192.0.2.1:4000", "user": None, "protocol": "socks5", "destination": "example.com:80",
    "mptcp": False, "up": 0, "down": 0, "seconds": 2.0, "stage": "relaying",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("top") / "control"


@pytest.fixture(scope="module")
def proxy(folder: Path) -> Iterator[RunningProxy]:
    control = ("--set", f'operations.control="{folder}"')
    with RunningProxy("serve", "--listen", "127.0.0.1:0", "--workers", "2", *LOOPBACK, *control) as running:
        yield running


def run_top(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_proxy("top", *arguments, timeout=PATIENCE)


def test_all_workers_tell_of_their_connections(proxy: RunningProxy, folder: Path, echo_port: int) -> None:
    with ExitStack() as held:
        tunnels = [held.enter_context(tunnel(proxy.address, socks5_request("127.0.0.1", echo_port))) for _ in range(16)]
        shaking = held.enter_context(connected_socket(proxy.address))
        for number, t in enumerate(tunnels):
            t.socket.sendall(bytes(number))
            assert receive_exactly(t.socket, number) == bytes(number)
        assert eventually(lambda: len(list(ask(folder))) == 17)
        told = {one["client"]: one for one in map(json.loads, run_top(str(folder), "--json").stdout.splitlines())}
        assert len({one["worker"] for one in told.values()}) == 2
        for number, t in enumerate(tunnels):
            one = told["{}:{}".format(*t.socket.getsockname())]
            assert (one["up"], one["down"], one["stage"]) == (number, number, "relaying")
            assert (one["protocol"], one["destination"]) == ("socks5", f"127.0.0.1:{echo_port}")
            assert one["seconds"] >= 0
        assert told["{}:{}".format(*shaking.getsockname())]["stage"] == "handshake"
        shown = run_top(str(folder)).stdout.splitlines()
        assert shown[0] == "17 connections"
        assert shown[1].split() == list(top.HEADINGS)
        assert len(shown) == 2 + 17


def test_only_the_owner_may_ask(proxy: RunningProxy, folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    paths = list(folder.iterdir())
    assert sorted(paths) == sorted(socket_path(folder, pid) for pid in proxy.workers)
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}


def test_who_asks_and_does_not_listen_holds_up_nobody(proxy: RunningProxy, folder: Path, echo_port: int) -> None:
    with ExitStack() as held:
        path = str(socket_path(folder, proxy.workers[0]))
        askers = [held.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2 * MOST_ASKERS)]
        for asker in askers:
            asker.connect(path)
        for _ in range(8):
            with tunnel(proxy.address, socks5_request("127.0.0.1", echo_port)) as t:
                t.socket.sendall(b"hello")
                assert receive_exactly(t.socket, 5) == b"hello"
    assert eventually(lambda: not list(ask(folder)))


def test_a_terminal_is_shown_a_table_that_refreshes(proxy: RunningProxy, folder: Path, echo_port: int) -> None:
    with (
        tunnel(proxy.address, socks5_request("127.0.0.1", echo_port)) as t,
        on_a_terminal(str(folder)) as (process, screen),
    ):
        assert eventually(lambda: "".join(screen).count(HOME) >= 2)
        assert "{}:{}".format(*t.socket.getsockname()) in "".join(screen)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


@contextmanager
def on_a_terminal(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
    """`top`, and what it has written so far."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "proxy", "top", *arguments], cwd=ROOT, stdout=theirs)
    os.close(theirs)
    screen: list[str] = []

    def read() -> None:
        while True:
            try:
                screen.append(os.read(ours, 1 << 16).decode())
            except OSError:  # so a terminal ends when nobody has it open any more
                return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield process, screen
    finally:
        process.kill()
        process.wait()
        reader.join(PATIENCE)
        os.close(ours)


def test_where_there_is_no_proxy_is_told(tmp_path: Path) -> None:
    ended = run_top(str(tmp_path / "nowhere"))
    assert (ended.returncode, ended.stderr) == (1, f"mpsocks top: {tmp_path}/nowhere: No such file or directory\n")


def test_a_reader_that_leaves_ends_it_without_a_word(proxy: RunningProxy, folder: Path) -> None:
    command = f"exec {sys.executable} -m proxy top {folder} | true"
    ended = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=False, timeout=PATIENCE)
    assert ended.stderr == b""


@pytest.mark.slow
def test_sockets_of_workers_that_have_ended_are_removed(tmp_path: Path) -> None:
    control = tmp_path / "control"
    control.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stale, socket.socket(socket.AF_UNIX) as live:
        stale.bind(str(control / "worker-1.sock"))
        live.bind(str(control / "worker-2.sock"))
        live.listen()
        (control / "worker-3.sock").write_text("not a socket")
        (tmp_path / "outside").write_text("kept")
        (control / "worker-4.sock").symlink_to(tmp_path / "outside")
        with RunningProxy(*ONE_WORKER, "--set", f'operations.control="{control}"') as proxy:
            started = socket_path(control, proxy.workers[0])
            assert started.exists()
            os.kill(proxy.workers[0], signal.SIGKILL)
            proxy.wait_for(lambda line: line["event"] == "worker started")
            assert not started.exists()
    left = sorted(path.name for path in control.iterdir())
    assert left == ["worker-2.sock", "worker-3.sock", "worker-4.sock"]
    assert (tmp_path / "outside").read_text() == "kept"


@pytest.mark.parametrize("what", ["open to others", "a file", "a symbolic link"])
def test_a_folder_that_is_not_its_owners_alone_is_refused(tmp_path: Path, what: str) -> None:
    control = tmp_path / "control"
    if what == "open to others":
        control.mkdir(mode=0o755)
    elif what == "a file":
        control.write_text("")
    else:
        (tmp_path / "real").mkdir(mode=0o700)
        control.symlink_to(tmp_path / "real")
    with pytest.raises(StartError, match=r"operations\.control: "):
        prepare_folder(control)


def connection(**fields: Any) -> dict[str, Any]:
    return {**CONNECTION, **fields}


def test_the_busiest_come_first() -> None:
    rates = Rates()
    first = rates.add([connection(client="a", up=100, seconds=1.0), connection(client="b", down=5000, seconds=100.0)])
    assert [(one["client"], one["up_rate"], one["down_rate"]) for one in first] == [("a", 100, 0), ("b", 0, 50)]
    second = rates.add([connection(client="a", up=110, seconds=2.0), connection(client="b", down=5100, seconds=101.0)])
    assert [(one["client"], one["up_rate"], one["down_rate"]) for one in second] == [("b", 0, 100), ("a", 10, 0)]
    third = rates.add([connection(client="a", up=30, seconds=0.5)])
    assert third[0]["up_rate"] == 60


def test_nobody_who_names_a_destination_commands_the_terminal() -> None:
    lines = table(Rates().add([connection(user="al\x1b[2Jice", destination="evil\x1b]0;\n:80", mptcp=True)]))
    assert lines[0] == "1 connection"
    assert all(line.isprintable() for line in lines)
    assert "al\\u001b[2Jice@192.0.2.1:4000" in lines[2]
    assert "socks5 mptcp" in lines[2]


@pytest.mark.parametrize(
    ("octets", "text"),
    [(0, "0"), (999, "999"), (1000, "1.0K"), (1536, "1.5K"), (20 << 20, "20.0M"), (3 << 30, "3.0G"), (5 << 40, "5.0T")],
)
def test_sizes_are_short(octets: float, text: str) -> None:
    assert size(octets) == text


class ManySessions:
    """One of very many connections, as the control socket sees it."""

    is_over = False
    stage = Stage.RELAYING

    def record(self, reason: str) -> Record:
        return Record(0.0, ("192.0.2.1", 4000), "socks5", "a" * 200, 80, False, 0, 0, 1.0, reason)


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop(tick_seconds=PATIENCE, on_tick=lambda: made.stop())  # noqa: PLW0108 -- it has no name yet
    yield made
    made.close()


@pytest.mark.parametrize("reads", [True, False])
def test_an_answer_longer_than_any_buffer_is_sent_as_it_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loop: Loop, *, reads: bool
) -> None:
    """Who reads slowly gets all; who does not read is cut."""
    monkeypatch.setattr("proxy.control.ASKING_SECONDS", PATIENCE if reads else 0.2)
    control = Control(tmp_path, loop, Log(), [ManySessions()] * 5000)  # type: ignore[list-item]
    got: list[int] = []

    def read() -> None:
        with socket.socket(socket.AF_UNIX) as asker:
            asker.settimeout(PATIENCE)
            asker.connect(str(socket_path(tmp_path, os.getpid())))
            if not reads:
                assert eventually(lambda: control.askers == 1)
                assert eventually(lambda: control.askers == 0)
            with asker.makefile() as lines:
                got.append(sum(1 for _ in lines))
        loop.post(Stopper(loop))

    reader = threading.Thread(target=read)
    reader.start()
    loop.run()
    reader.join(PATIENCE)
    control.close()
    assert (got[0] == 5000) == reads
    assert got[0] > 0
    assert not list(tmp_path.iterdir())


class Stopper:
    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def ready(self, _mask: int) -> None:
        self._loop.stop()

    def crashed(self, error: Exception) -> None:
        raise error
