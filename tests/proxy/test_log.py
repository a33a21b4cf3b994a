"""The log: what it says, in either form, and that it never holds up a connection."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from codec import socks5
from codec.address import Address
from codec.client import Socks5Client
from codec.command import Command
from codec.rfc1929 import UserPassword
from proxy.log import LONGEST_QUEUE, LONGEST_WRITE, Log, Record, event_line, printable, say
from proxy.options import LogFormat
from proxy.users import Hash
from tests.proxy.peers import connected_socket, receive_exactly, socks5_request, tunnel
from tests.proxy.running import LOOPBACK, ONE_WORKER, PATIENCE, ROOT, RunningProxy
from tests.proxy.users_file import users_file
from tests.proxy.waiting import eventually

RECORD = Record(1.5, ("192.0.2.1", 4000), "socks6", "example.com", 80, True, 1, 2, 0.25, "closed", "alice")


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (RECORD, "alice@192.0.2.1:4000 socks6 -> example.com:80 mptcp, 1 up, 2 down, 0.250 s: closed"),
        (
            Record(1.5, ("::1", 1), "unknown", "", 0, False, 0, 0, 10.0, "handshake timed out"),
            "[::1]:1 unknown, 0 up, 0 down, 10.000 s: handshake timed out",
        ),
        (
            RECORD._replace(command=Command.UDP_ASSOCIATE),
            "alice@192.0.2.1:4000 socks6 udp associate -> example.com:80 mptcp, 1 up, 2 down, 0.250 s: closed",
        ),
        (
            RECORD._replace(command=Command.CONNECT),
            "alice@192.0.2.1:4000 socks6 -> example.com:80 mptcp, 1 up, 2 down, 0.250 s: closed",
        ),
        (
            RECORD._replace(user="al\nice", host="\x1b[2J::"),
            "al\\nice@192.0.2.1:4000 socks6 -> [\\u001b[2J::]:80 mptcp, 1 up, 2 down, 0.250 s: closed",
        ),
    ],
)
def test_a_line_of_text_is_for_people(record: Record, text: str) -> None:
    line = record.text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.500 ", line[:24])
    assert line[24:] == f"{text}\n"


def test_a_line_of_json_names_the_user_where_there_is_one() -> None:
    assert json.loads(RECORD.line())["user"] == "alice"
    assert "user" not in json.loads(RECORD._replace(user=None).line())


@pytest.mark.parametrize(
    ("command", "told"), [(Command.CONNECT, "connect"), (Command.UDP_ASSOCIATE, "udp associate"), (99, "99")]
)
def test_a_line_of_json_names_what_was_asked_for(command: int, told: str) -> None:
    assert json.loads(RECORD._replace(command=command).line())["command"] == told


def test_nothing_is_named_where_nothing_was_asked_for() -> None:
    assert "command" not in json.loads(RECORD.line())


@pytest.mark.parametrize("form", LogFormat)
def test_events_are_one_line_in_either_form(form: LogFormat) -> None:
    line = event_line(form, "listening", {"addresses": ["a", "b"], "why": "two\nlines"})
    assert line.endswith("\n")
    assert printable(line[:-1]) == line[:-1]
    if form is LogFormat.TEXT:
        assert line[24:] == "listening addresses=a,b why=two\\nlines\n"
    else:
        assert json.loads(line)["addresses"] == ["a", "b"]


def test_a_defect_is_told_with_where_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log()
    try:
        raise ZeroDivisionError("once")
    except ZeroDivisionError as error:
        log.defect(error)
    log.close(PATIENCE)
    told = json.loads(capfd.readouterr().err)
    assert told["event"] == "defect"
    assert "test_log.py" in told["traceback"]
    assert told["traceback"].endswith("ZeroDivisionError: once\n")


def test_what_could_not_be_written_is_counted_and_told_later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The reader of a pipe is stuck, and then goes on."""
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w") as stuck:
        monkeypatch.setattr("sys.stderr", stuck)
        log = Log()
        batches = 0
        while not log.dropped:
            for _ in range(100):
                log.add(RECORD)
            log.flush()
            batches += 1
        assert batches > LONGEST_QUEUE
        dropped = log.dropped
        received: list[bytes] = []
        reader = threading.Thread(target=lambda: received.extend(iter(lambda: os.read(ours, 1 << 16), b"")))
        reader.start()
        log.close(PATIENCE)
        log = Log()
        log.defect(ZeroDivisionError())
        log.close(PATIENCE)
    reader.join(PATIENCE)
    os.close(ours)
    told = [json.loads(line) for line in b"".join(received).splitlines()]
    assert sum(line["event"] == "connection" for line in told) == 100 * batches - dropped
    assert [line["count"] for line in told if line["event"] == "log lines dropped"] == [dropped]
    assert told[-1]["event"] == "defect"


def test_lines_that_were_dropped_are_told_of_by_the_next_that_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w") as file, Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stderr", full)
        log = Log()
        log.add(RECORD)
        log.flush()
        assert eventually(lambda: log.dropped > 0)
        os.dup2(file.fileno(), full.fileno())
        log.add(RECORD)
        log.close(PATIENCE)
    connection, dropped = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert connection["event"] == "connection"
    assert (dropped["event"], dropped["count"]) == ("log lines dropped", 1)


@contextmanager
def largest_file(octets: int) -> Iterator[None]:
    """As on a disk that has room for so much: what goes beyond is not written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_a_full_disk_cuts_is_counted_and_does_not_spoil_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w") as file:
        monkeypatch.setattr("sys.stderr", file)
        log = Log()
        with largest_file(len(RECORD.line()) + 50):
            for _ in range(3):
                log.add(RECORD)
            log.flush()
            assert eventually(lambda: log.dropped == 2)
            log.add(RECORD)
            log.flush()
            assert eventually(lambda: log.dropped == 3)
        log.add(RECORD)
        log.close(PATIENCE)
    whole, cut, after, told = (tmp_path / "log").read_text().splitlines(keepends=True)
    assert whole == after == RECORD.line()
    assert cut == RECORD.line()[:50] + "\n"
    assert json.loads(told)["count"] == 3


def test_what_is_said_of_the_proxy_begins_a_line_when_the_last_was_cut(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w") as file:
        monkeypatch.setattr("sys.stderr", file)
        with largest_file(10):
            say("worker ended", pid=1)
            say("worker ended", pid=2)
        say("worker ended", pid=3)
    cut, after = (tmp_path / "log").read_text().splitlines()
    assert len(cut) == 10
    assert json.loads(after)["pid"] == 3


@pytest.mark.parametrize("sink", ["full", "stuck", "gone"])
def test_saying_something_about_the_proxy_never_waits(monkeypatch: pytest.MonkeyPatch, sink: str) -> None:
    ours, theirs = os.pipe()
    if sink == "stuck":
        os.set_blocking(theirs, False)
        with suppress(BlockingIOError):
            while True:
                os.write(theirs, bytes(LONGEST_WRITE))
        os.set_blocking(theirs, True)
    elif sink == "gone":
        os.close(ours)
    with os.fdopen(theirs, "w") if sink != "full" else Path("/dev/full").open("w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        say("listening", addresses=["a"] * 10_000)
    if sink != "gone":
        os.close(ours)
    if sink == "full":
        os.close(theirs)


def test_a_line_that_is_too_long_for_a_pipe_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        say("listening", LogFormat.TEXT, addresses=["a"] * 10_000)
    line = os.read(ours, 1 << 16)
    os.close(ours)
    assert len(line) == LONGEST_WRITE
    assert line.endswith((b"a\n", b",\n"))


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2> >(exec 0<&-)"], ids=["full", "gone"])
def test_clients_are_served_when_nothing_can_be_logged(echo_port: int, redirection: str) -> None:
    """The proxy cannot say where it listens, so it is told."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = f'exec {sys.executable} -m proxy serve --listen 127.0.0.1:{port} --workers 1 "$@" {redirection}'
    process = subprocess.Popen(["bash", "-c", command, "bash", *LOOPBACK], cwd=ROOT)
    try:
        assert eventually(lambda: listens(port))
        for _ in range(200):
            with tunnel(("127.0.0.1", port), socks5_request("127.0.0.1", echo_port)) as t:
                t.socket.sendall(b"hello")
                assert receive_exactly(t.socket, 5) == b"hello"
    finally:
        process.terminate()
    assert process.wait(PATIENCE) == 0


def listens(port: int) -> bool:
    try:
        connected_socket(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_person_at_a_terminal_gets_text() -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "proxy", *ONE_WORKER]
    process = subprocess.Popen(command, cwd=ROOT, stderr=theirs)
    os.close(theirs)
    try:
        with os.fdopen(ours, "rb") as terminal:
            assert re.search(rb" listening addresses=127\.0\.0\.1:", terminal.readline())
            process.terminate()
            assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def test_a_user_is_named_when_the_password_was_right_and_the_password_never(tmp_path: Path, echo_port: int) -> None:
    users = users_file(tmp_path, {"alice": Hash.of(b"correct horse")})
    request = socks5.Request(Command.CONNECT, Address.of("127.0.0.1"), echo_port)
    with RunningProxy(*ONE_WORKER, "--set", f'clients.users="{users}"') as proxy:
        with tunnel(proxy.address, Socks5Client(request, UserPassword(b"alice", b"correct horse"))):
            pass
        assert proxy.connection(end="closed")["user"] == "alice"
        with connected_socket(proxy.address) as sock:
            client = Socks5Client(request, UserPassword(b"alice", b"battery staple"))
            sock.sendall(client.open())
            client.receive(receive_exactly(sock, 2))
            sock.sendall(client.outgoing())
            assert receive_exactly(sock, 2)[1] != 0
        assert "user" not in proxy.connection(end="wrong password")
        assert not re.search("horse|battery", json.dumps(proxy.lines))


def test_the_proxy_speaks_text_when_asked_to(echo_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "proxy", *ONE_WORKER[:1], "--listen", f"127.0.0.1:{port}", "--workers", "1"]
    text = ("--set", 'operations.log="text"')
    process = subprocess.Popen([*command, *LOOPBACK, *text], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert eventually(lambda: listens(port))
        with tunnel(("127.0.0.1", port), socks5_request("127.0.0.1", echo_port)):
            pass
    finally:
        process.terminate()
        _, told = process.communicate(timeout=PATIENCE)
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} "
    lines = told.splitlines()
    assert all(re.match(moment, line) for line in lines)
    assert any(
        re.match(rf"{moment}listening addresses=127\.0\.0\.1:{port} pid=\d+ workers=\d+$", line) for line in lines
    )
    assert any(f" socks5 -> 127.0.0.1:{echo_port}, 0 up, 0 down, " in line for line in lines)
