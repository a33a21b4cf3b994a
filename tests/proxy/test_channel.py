"""From worker to worker: messages and clients arrive whole, or are told of."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from proxy.channel import LARGEST_MESSAGE, Channel, Ends
from proxy.loop import Loop
from proxy.plain import Plain
from tests.proxy.peers import connected_socket, receive_exactly
from tests.proxy.running import PATIENCE


class Inbox:
    """A worker, as the channel sees it; stops the loop when it has as much as it expects."""

    def __init__(self, loop: Loop, expected: int) -> None:
        self._loop = loop
        self._expected = expected
        self.got: list[tuple[dict[str, Any], bytes, socket.SocketType | None]] = []
        self.could_not: list[dict[str, Any]] = []

    def take_over(self, message: dict[str, Any], octets: bytes, sock: socket.SocketType | None) -> None:
        self.got.append((message, octets, sock))
        self._count()

    def could_not_take_over(self, message: dict[str, Any]) -> None:
        self.could_not.append(message)
        self._count()

    def _count(self) -> None:
        if len(self.got) + len(self.could_not) == self._expected:
            self._loop.stop()


@contextmanager
def channels(expected: int) -> Iterator[tuple[Channel, Inbox, Callable[[], None]]]:
    """The channel of worker 0, the inbox of worker 1, and what runs worker 1 until it has all."""
    loops = [Loop(tick_seconds=PATIENCE, on_tick=lambda: loops[1].stop()) for _ in range(2)]  # noqa: PLW0108
    ends = [Ends.make() for _ in range(2)]
    inbox = Inbox(loops[1], expected)
    sender, _ = Channel(0, ends, loops[0], Inbox(loops[0], 1)), Channel(1, ends, loops[1], inbox)
    try:
        yield sender, inbox, loops[1].run
    finally:
        for loop in loops:
            loop.close()
        for one in ends:
            one.close()


def test_only_other_workers_are_elsewhere() -> None:
    with channels(1) as (channel, _, _):
        assert [owner for owner in range(5) if channel.is_elsewhere(owner)] == [1]


@pytest.mark.parametrize("octets", [b"", b"with\nlines\n\0", os.urandom(100_000)], ids=len)
def test_a_message_arrives_as_it_was_sent(octets: bytes) -> None:
    with channels(1) as (channel, inbox, run):
        assert channel.send(1, {"peer": ["192.0.2.1", 1]}, octets)
        run()
        assert inbox.got == [({"peer": ["192.0.2.1", 1]}, octets, None)]


def test_a_socket_comes_along_and_both_copies_are_one() -> None:
    ours, theirs = socket.socketpair()
    with channels(1) as (channel, inbox, run), ours:
        assert channel.send(1, {}, b"", theirs)
        theirs.close()
        run()
        copy = inbox.got[0][2]
        assert copy is not None
        copy.send(b"hello")
        assert receive_exactly(ours, 5) == b"hello"
        copy.close()
        assert ours.recv(1) == b""


def test_a_client_behind_tls_comes_with_its_own_socket() -> None:
    with connected_pair() as (client, accepted), channels(1) as (channel, inbox, run):
        ours, theirs = socket.socketpair()
        plain = Plain(theirs.detach(), accepted)
        assert channel.send(1, {}, b"", plain)
        plain.close()
        run()
        copy = inbox.got[0][2]
        assert isinstance(copy, Plain)
        copy.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x28)
        assert accepted.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x28
        assert copy.getpeername() == client.getsockname()
        copy.close()
        assert ours.recv(1) == b""
        ours.close()


@contextmanager
def descriptors_left(few: int) -> Iterator[None]:
    """This process can open so many more."""
    free = [os.open(os.devnull, os.O_RDONLY) for _ in range(few + 1)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The kernel gives the lowest numbers that are free: below the last of these there are no others.
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1], hard))
    for descriptor in free:
        os.close(descriptor)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_client_for_whom_there_are_too_few_descriptors_is_closed_and_told_of(left: int) -> None:
    """Behind TLS it comes with two: one alone would look like a client without TLS."""
    ours, theirs = socket.socketpair()
    with connected_pair() as (client, accepted), channels(2) as (channel, inbox, run), ours:
        plain = Plain(theirs.detach(), accepted)
        assert channel.send(1, {"peer": 1}, b"octets", plain)
        assert channel.send(1, {"peer": 2}, b"")
        plain.close()
        accepted.close()
        with descriptors_left(left):
            run()
        if left < 2:
            assert inbox.could_not == [{"peer": 1}]
            assert inbox.got == [({"peer": 2}, b"", None)]
            assert ours.recv(1) == b""
            assert client.recv(1) == b""
        else:
            assert not inbox.could_not
            copy = inbox.got[0][2]
            assert isinstance(copy, Plain)
            copy.close()


@contextmanager
def connected_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, connected_socket(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with accepted:
            yield client, accepted


def test_a_worker_that_takes_nothing_is_told_of_before_anything_waits() -> None:
    with channels(1) as (channel, _, _):
        sent = next(number for number in count() if not channel.send(1, {}, bytes(LARGEST_MESSAGE // 2)))
        assert sent >= 1


def test_messages_wait_for_the_successor_of_a_worker() -> None:
    """The supervisor keeps both ends: the receiver may come later."""
    ends = [Ends.make() for _ in range(2)]
    first, second = (Loop(tick_seconds=PATIENCE, on_tick=lambda: second.stop()) for _ in range(2))  # noqa: PLW0108
    sender = Channel(0, ends, first, Inbox(first, 1))
    assert sender.send(1, {"n": 1}, b"octets")
    inbox = Inbox(second, 1)
    Channel(1, ends, second, inbox)
    second.run()
    assert inbox.got == [({"n": 1}, b"octets", None)]
    first.close()
    second.close()
    for one in ends:
        one.close()
