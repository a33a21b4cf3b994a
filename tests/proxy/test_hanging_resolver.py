"""A resolver that hangs: who waits for it is told in time, and nobody else waits.

The proxy runs in a network namespace where the only nameserver is a socket of the test.
"""

from __future__ import annotations

import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from typing import TypeVar

import pytest

from codec.reply import ReplyCode
from tests.conftest import namespace_name, namespaces
from tests.proxy.footprint import sockets
from tests.proxy.namespaces import run_in, with_file
from tests.proxy.peers import (
    EITHER_VERSION,
    MakeRequest,
    Tunnel,
    accepted_by,
    both_ends,
    connected_socket,
    exchange_unevenly,
    listening_socket,
    receive_exactly,
    reset,
    send_request,
    socks6_request,
)
from tests.proxy.running import LOOPBACK, PATIENCE, RunningProxy
from tests.proxy.waiting import eventually

T = TypeVar("T")
pytestmark = [pytest.mark.netns, pytest.mark.slow]
RESOLV_CONF = "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n"
"""The C library hangs for longer than any test waits."""
OCTETS = 1 << 17
HEADER = struct.Struct(">6H")
QUESTION_TAIL = struct.Struct(">2H")
TYPE_A = 1
POINTER_TO_QUESTION = 0xC00C


class Nameserver:
    """Hears questions, and says nothing until it is told to answer (RFC 1035 section 4)."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._unanswered: list[tuple[bytes, tuple[str, int]]] = []

    def hear(self, name: str) -> None:
        """Wait until this name has been asked for, in both families."""
        wire = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
        while sum(wire in question for question, _ in self._unanswered) < 2:
            self._unanswered.append(self._socket.recvfrom(512))

    def answer(self, address: str) -> None:
        """All questions so far: the name has this IPv4 address."""
        for question, asker in self._unanswered:
            identity = HEADER.unpack_from(question)[0]
            kind, _ = QUESTION_TAIL.unpack_from(question, len(question) - QUESTION_TAIL.size)
            record = struct.pack(">3HIH", POINTER_TO_QUESTION, TYPE_A, 1, 60, 4) + IPv4Address(address).packed
            has_one = kind == TYPE_A
            header = HEADER.pack(identity, 0x8180, 1, has_one, 0, 0)
            self._socket.sendto(header + question[HEADER.size :] + record * has_one, asker)
        self._unanswered.clear()


@dataclass(frozen=True, slots=True)
class Place:
    """A network namespace with a nameserver that hangs."""

    prefix: tuple[str, ...]
    name: str
    nameserver: Nameserver

    def proxy(self, *arguments: str) -> RunningProxy:
        return RunningProxy(
            "serve", "--listen", "127.0.0.1:0", "--workers", "1", *LOOPBACK, *arguments, prefix=self.prefix
        )

    def enter(self, held: ExitStack, make: Callable[[], AbstractContextManager[T]]) -> T:
        """What is made belongs to the namespace, and ends with `held`."""
        return run_in(self.name, lambda: held.enter_context(make()))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    file = tmp_path_factory.mktemp("etc") / "resolv.conf"
    file.write_text(RESOLV_CONF)
    mount = with_file(file, "/etc/resolv.conf")
    with namespaces() as make:
        runner = make()
        name = namespace_name(runner)
        with run_in(name, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
            sock.bind(("127.0.0.1", 53))
            sock.settimeout(PATIENCE)
            yield Place((*runner.prefix, *mount), name, Nameserver(sock))


@EITHER_VERSION
def test_clients_may_reset_while_their_names_are_being_resolved(place: Place, request_: MakeRequest) -> None:
    with place.proxy() as proxy, ExitStack() as held:
        before = sockets(proxy.workers[0])
        asking = [place.enter(held, lambda: connected_socket(proxy.address)) for _ in range(4)]
        for number, sock in enumerate(asking):
            name = f"{number}.{request_.__name__}.test"
            send_request(sock, request_(name, 80))
            place.nameserver.hear(name)
        client, remote = place.enter(held, lambda: both_ends(proxy.address, request_))
        exchange_unevenly(client, remote, OCTETS, seed=1)
        for sock in asking:
            host, port = sock.getsockname()
            reset(sock)
            assert proxy.connection(client=f"{host}:{port}")["end"] == "client reset"
        exchange_unevenly(client, remote, OCTETS, seed=2)
        client.close()
        remote.close()
        place.nameserver.answer("127.0.0.1")
        assert eventually(lambda: sockets(proxy.workers[0]) <= before)


@EITHER_VERSION
def test_who_waits_for_a_name_is_told_in_time_and_may_ask_again(place: Place, request_: MakeRequest) -> None:
    name = f"late.{request_.__name__}.test"
    with place.proxy("--set", "timeouts.connect=0.5") as proxy, ExitStack() as held:
        listener = place.enter(held, listening_socket)
        request = partial(request_, name, listener.getsockname()[1])
        with place.enter(held, lambda: connected_socket(proxy.address)) as sock:
            code = Tunnel(sock, request()).code
            # SOCKS 5 has no word for it.
            assert code is (ReplyCode.TIMED_OUT if request_ is socks6_request else ReplyCode.HOST_UNREACHABLE)
            assert receive_exactly(sock, 1) == b""
        proxy.connection(end="refused: timed out")
        place.nameserver.hear(name)
        place.nameserver.answer("127.0.0.1")
        with place.enter(held, lambda: connected_socket(proxy.address)) as sock:
            assert Tunnel(sock, request()).code is ReplyCode.SUCCEEDED
            with accepted_by(listener) as remote:
                exchange_unevenly(sock, remote, OCTETS, seed=3)


@EITHER_VERSION
def test_a_proxy_may_be_stopped_while_a_name_is_being_resolved(place: Place, request_: MakeRequest) -> None:
    with place.proxy("--set", "timeouts.drain=0.1") as proxy, ExitStack() as held:
        sock = place.enter(held, lambda: connected_socket(proxy.address))
        name = f"never.{request_.__name__}.test"
        send_request(sock, request_(name, 80))
        place.nameserver.hear(name)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
        proxy.connection(end="proxy stopped")
