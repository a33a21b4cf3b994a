"""The parts that can be tried alone."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from socket import SO_SNDBUF, SOL_SOCKET, socket, socketpair
from typing import TYPE_CHECKING, cast

import pytest

from codec.reply import ReplyCode
from proxy.log import LONGEST_WRITE, Log, Record, _chunks
from proxy.loop import Loop
from proxy.mptcp import OutwardSockets
from proxy.options import HostPort
from proxy.outcome import reply_code
from proxy.pipes import PIPE_OCTETS, PipePool
from proxy.relay import Flow
from tests.proxy.peers import receive_exactly
from tests.proxy.running import PATIENCE

if TYPE_CHECKING:
    from proxy.session import Session

RECORD = Record(1.5, ("192.0.2.1", 4000), "socks6", "example.com", 80, True, 1, 2, 0.25, "closed")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errno.EACCES, ReplyCode.NOT_ALLOWED),
        (errno.EPERM, ReplyCode.NOT_ALLOWED),
        (errno.ENETUNREACH, ReplyCode.NETWORK_UNREACHABLE),
        (errno.EHOSTUNREACH, ReplyCode.HOST_UNREACHABLE),
        (errno.ECONNREFUSED, ReplyCode.CONNECTION_REFUSED),
        (errno.ETIMEDOUT, ReplyCode.TIMED_OUT),
        (errno.EAFNOSUPPORT, ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED),
        (errno.EMFILE, ReplyCode.GENERAL_FAILURE),
    ],
)
def test_errors_of_the_kernel_have_reply_codes(error: int, code: ReplyCode) -> None:
    assert reply_code(error) is code


@pytest.mark.parametrize("text", ["192.0.2.1:80", "[2001:db8::1]:443", "proxy.example:1080"])
def test_an_address_and_port_are_written_as_they_are_read(text: str) -> None:
    assert str(HostPort.parse(text)) == text


class Relayed:
    """Stands for a session and its worker: one direction, and no pipe to be had."""

    def __init__(self, source: socket, sink: socket) -> None:
        self.worker = self
        self.loop = Loop(tick_seconds=PATIENCE, on_tick=lambda: self.loop.stop())  # noqa: PLW0108
        self.pipes = PipePool(0)
        self.flow = Flow(cast("Session", self), source, sink)
        self.flow.back = Flow(cast("Session", self), sink, source)
        self.flow.back.ended = True
        self.loop.add(source.fileno(), self.flow)

    def end(self, reason: str) -> None:
        assert reason == "closed"
        self.loop.stop()


def test_the_end_of_a_stream_is_seen_without_a_pipe_however_much_comes_before_it() -> None:
    content = os.urandom(200_000)
    (ours, source), (sink, theirs) = roomy_pair(), roomy_pair()
    ours.sendall(content)
    ours.close()
    relayed = Relayed(source, sink)
    try:
        relayed.loop.run()
        assert relayed.flow.ended
        assert relayed.flow.octets == len(content)
        assert receive_exactly(theirs, len(content)) == content
    finally:
        relayed.loop.close()
        for sock in (source, sink, theirs):
            sock.close()


def roomy_pair() -> tuple[socket, socket]:
    """With room for all that is sent."""
    pair = socketpair()
    for sock in pair:
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, 1 << 20)
    return pair


def test_pipes_are_large_and_no_more_than_the_limit() -> None:
    pool = PipePool(2)
    first, second = pool.take(), pool.take()
    assert first is not None
    assert second is not None
    assert pool.take() is None
    assert fcntl.fcntl(first.read_end, fcntl.F_GETPIPE_SZ) == PIPE_OCTETS
    pool.give_back(first)
    assert pool.take() is first
    pool.discard(first)
    third = pool.take()
    assert third is not None
    third.close()
    second.close()


def test_a_log_line_is_json() -> None:
    assert json.loads(RECORD.line()) == {
        "time": 1.5, "event": "connection", "client": "192.0.2.1:4000", "protocol": "socks6",
        "destination": "example.com:80", "mptcp": True, "up": 1, "down": 2, "seconds": 0.25, "end": "closed",
    }  # fmt: skip
    ipv6 = RECORD._replace(client=("2001:db8::1", 4000, 0, 0), host="2001:db8::2")
    assert json.loads(ipv6.line())["client"] == "[2001:db8::1]:4000"
    assert json.loads(ipv6.line())["destination"] == "[2001:db8::2]:80"


def test_log_writes_are_whole_lines_that_a_pipe_keeps_together() -> None:
    lines = [RECORD.line()] * 100
    chunks = _chunks(lines)
    assert b"".join(chunks) == "".join(lines).encode()
    assert all(chunk.endswith(b"\n") and len(chunk) <= LONGEST_WRITE for chunk in chunks)
    assert len(chunks) < len(lines) / 10


def test_a_log_that_cannot_be_written_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stderr", full)
        log = Log()
        for _ in range(5000):
            log.add(RECORD)
        log.close(PATIENCE)


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that ends by itself when what a test waits for does not come."""
    made = Loop(tick_seconds=PATIENCE, on_tick=lambda: made.stop())  # noqa: PLW0108 -- it has no name yet
    yield made
    made.close()


def test_a_defect_met_by_one_handler_reaches_that_handler(loop: Loop) -> None:
    class Defective:
        def ready(self, _mask: int) -> None:
            raise ZeroDivisionError

        def crashed(self, error: Exception) -> None:
            assert isinstance(error, ZeroDivisionError)
            loop.stop()

    loop.again(Defective())
    loop.run()


def test_timers_call_in_the_order_of_their_times(loop: Loop) -> None:
    called: list[str] = []

    class Timer:
        def __init__(self, name: str) -> None:
            self._name = name

        def ready(self, mask: int) -> None:
            assert mask == 0
            called.append(self._name)
            if len(called) == 3:
                loop.stop()

        def crashed(self, error: Exception) -> None:
            raise error

    for seconds, name in ((0.02, "second"), (0.01, "first"), (0.02, "third"), (60, "never")):
        loop.call_at(loop.now + seconds, Timer(name))
    begun = loop.now
    loop.run()
    assert called == ["first", "second", "third"]
    assert loop.now >= begun + 0.02


def test_a_kernel_without_multipath_gives_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    """A protocol number that no kernel has stands for MPTCP where there is none."""
    monkeypatch.setattr("proxy.mptcp.IPPROTO_MPTCP", 255)
    sock = OutwardSockets(multipath=True).open(2, multipath=True)
    assert sock.proto == 0
    sock.close()


def test_descriptors_are_not_left_to_children() -> None:
    pipe = PipePool(1).take()
    assert pipe is not None
    assert not os.get_inheritable(pipe.read_end)
    pipe.close()
