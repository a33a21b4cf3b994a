"""The two ends of a proxied connection, as blocking sockets in this process."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fcntl import ioctl
from itertools import cycle, islice
from time import sleep
from typing import Protocol

import pytest

from codec import socks5
from codec.address import Address
from codec.client import ClientConnection, Socks5Client, Socks6Client
from codec.command import Command
from codec.errors import NEED_DATA
from codec.reply import ReplyCode
from codec.rfc1929 import UserPassword
from codec.socks6 import messages as socks6
from codec.socks6.option_list import Options
from codec.socks6.options import UserPasswordData
from tests.proxy.running import PATIENCE
from tests.proxy.waiting import eventually

IPPROTO_MPTCP = 262
SIOCOUTQ = 0x5411
# Below those that the kernel chooses from; each process that runs tests has a range for itself.
_PORTS = 7_000
_first_port = 10_000 + _PORTS * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_client_ports = cycle(range(_first_port, _first_port + _PORTS))
Serve = Callable[[socket.socket], None]
MakeRequest = Callable[..., ClientConnection]
LARGEST_PIECE = 1 << 18
"""Octets that are sent or received at a time, at most."""


class Stream(Protocol):
    """A socket, or a TLS connection."""

    def sendall(self, octets: bytes, /) -> object: ...
    def recv(self, most: int, /) -> bytes: ...


def listening_socket(host: str = "127.0.0.1", *, multipath: bool = False) -> socket.socket:
    """A listening socket on a port of its own."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP if multipath else 0)
    sock.bind((host, 0))
    sock.listen()
    return sock


@contextmanager
def serving(serve: Serve, host: str = "127.0.0.1", *, multipath: bool = False) -> Iterator[int]:
    """A server that runs `serve` for each connection in a thread; its port."""
    with listening_socket(host, multipath=multipath) as listener, served_on(listener, serve):
        yield listener.getsockname()[1]


@contextmanager
def served_on(listener: socket.socket, serve: Serve) -> Iterator[None]:
    """Run `serve` for each connection to `listener`."""
    threads: list[threading.Thread] = []
    stopping = threading.Event()
    failures: list[Exception] = []

    def one(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(PATIENCE)
            try:
                serve(connection)
            except Exception as error:  # noqa: BLE001 -- handed to the test below
                failures.append(error)

    def accept_all() -> None:
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=one, args=(connection,)))
            threads[-1].start()

    listener.settimeout(0.05)
    acceptor = threading.Thread(target=accept_all)
    acceptor.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in [acceptor, *threads]:
            thread.join(PATIENCE)
    if failures:
        raise failures[0]


def echo(connection: socket.socket) -> None:
    """Send everything back until the peer has no more, or is gone."""
    try:
        while data := connection.recv(1 << 16):
            connection.sendall(data)
    except (ConnectionResetError, BrokenPipeError):
        return


def socks5_request(
    host: str, port: int, command: Command = Command.CONNECT, *, credentials: UserPassword | None = None
) -> Socks5Client:
    return Socks5Client(socks5.Request(command, Address.of(host), port), credentials)


def socks6_request(
    host: str,
    port: int,
    options: Options = (),
    command: Command = Command.CONNECT,
    *,
    credentials: UserPassword | None = None,
) -> Socks6Client:
    if credentials is not None:
        options = (*options, UserPasswordData(credentials.user, credentials.password))
    return Socks6Client(socks6.Request(command, Address.of(host), port, options))


def send_request(sock: socket.socket, client: ClientConnection) -> None:
    """To a proxy: all that can be sent before it decides on anything."""
    sock.sendall(client.open())
    if isinstance(client, Socks5Client):
        client.receive(receive_exactly(sock, 2))
        sock.sendall(client.outgoing())


EITHER_VERSION = pytest.mark.parametrize("request_", [socks5_request, socks6_request], ids=["socks5", "socks6"])


class Tunnel:
    """A connection through a proxy: the socket to it, the reply, and what had come behind it."""

    def __init__(self, sock: socket.socket, client: ClientConnection) -> None:
        """`sock` is connected to the proxy, and stays the caller's to close."""
        self.socket = sock
        self.socket.sendall(client.open())
        reply = client.receive_reply(self._some(client))
        while reply is NEED_DATA:
            self.socket.sendall(client.outgoing())
            reply = client.receive_reply(self._some(client))
        self.reply = reply
        self.early = client.leftover()

    @property
    def code(self) -> ReplyCode:
        assert isinstance(self.reply.code, ReplyCode)
        return self.reply.code

    def _some(self, client: ClientConnection) -> bytes:
        data = self.socket.recv(4096)
        if not data:
            client.receive_end()
        return data


@contextmanager
def tunnel(proxy: tuple[str, int], client: ClientConnection, *, multipath: bool = False) -> Iterator[Tunnel]:
    """Connect through a proxy; the socket is closed at the end."""
    with connected_socket(proxy, multipath=multipath) as sock:
        yield Tunnel(sock, client)


@contextmanager
def both_ends(
    proxy: tuple[str, int], request: MakeRequest, *, multipath: bool = False
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection through a proxy, by the request that `request` makes: the client's end, and the remote host's."""
    with (
        listening_socket(multipath=multipath) as listener,
        tunnel(proxy, request("127.0.0.1", listener.getsockname()[1]), multipath=multipath) as t,
        accepted_by(listener) as remote,
    ):
        assert t.code is ReplyCode.SUCCEEDED
        assert not t.early
        yield t.socket, remote


def accepted_by(listener: socket.socket) -> socket.socket:
    """The next connection that came."""
    listener.settimeout(PATIENCE)
    sock, _ = listener.accept()
    sock.settimeout(PATIENCE)
    return sock


def connected_socket(address: tuple[str, int], *, multipath: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP if multipath else 0)
    sock.settimeout(PATIENCE)
    try:
        bind_to_new_port(sock)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def bind_to_new_port(sock: socket.socket) -> None:
    """To a port that no client had before: tests find their lines in the log by it, and the kernel gives some twice."""
    host = "::" if sock.family == socket.AF_INET6 else ""
    for port in islice(_client_ports, _PORTS):
        with suppress(OSError):  # somebody else has it
            sock.bind((host, port))
            return
    raise AssertionError("there are no ports left")


def receive_exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (piece := sock.recv(count - len(data))):
        data += piece
    return data


def receive_all(sock: socket.socket) -> bytes:
    """Until the end of the stream."""
    pieces = []
    while piece := sock.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def send_unevenly(stream: Stream, octets: int, seed: int, largest: int = LARGEST_PIECE) -> str:
    """Send random octets in pieces of random sizes with a random pause here and there; their SHA-256."""
    chance = random.Random(seed)
    digest = hashlib.sha256()
    while octets:
        piece = chance.randbytes(min(octets, int(largest ** chance.random())))
        if chance.random() < 0.05:
            sleep(chance.uniform(0, 0.01))
        stream.sendall(piece)
        digest.update(piece)
        octets -= len(piece)
    return digest.hexdigest()


def receive_unevenly(
    stream: Stream, seed: int, early: bytes = b"", octets: int | None = None, largest: int = LARGEST_PIECE
) -> str:
    """Receive so many octets, or to the end, in pieces of random sizes, with pauses; the SHA-256 of all, `early` in
    front. Raises EOFError when the end comes too early."""
    chance = random.Random(seed)
    digest = hashlib.sha256(early)
    received = len(early)
    while octets is None or received < octets:
        most = int(largest ** chance.random())
        piece = stream.recv(most if octets is None else min(most, octets - received))
        if not piece:
            if octets is not None:
                raise EOFError(f"after {received} of {octets} octets")
            break
        digest.update(piece)
        received += len(piece)
        if chance.random() < 0.05:
            sleep(chance.uniform(0, 0.01))
    return digest.hexdigest()


def carry_unevenly(
    source: Stream, sink: Stream, octets: int, seed: int, *, early: bytes = b"", largest: int = LARGEST_PIECE
) -> None:
    """Send random octets from one end of an open tunnel while the other receives: they arrive as they were sent.

    `early` has come to the sink already. Where an echo server stands behind the tunnel both ends are the same.
    """
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_unevenly, source, octets, seed, largest)
        received = receive_unevenly(sink, seed + 1, early, octets, largest)
        assert received == sending.result(PATIENCE)


def exchange_unevenly(
    one: Stream, other: Stream, octets: int, seed: int, *, early: bytes = b"", largest: int = LARGEST_PIECE
) -> None:
    """The same both ways at the same time; `early` has come to `one`. The tunnel stays open."""
    with ThreadPoolExecutor(1) as pool:
        up = pool.submit(carry_unevenly, one, other, octets, seed, largest=largest)
        carry_unevenly(other, one, octets, seed + 2, early=early, largest=largest)
        up.result(PATIENCE)


def wait_until_taken(sock: socket.socket) -> None:
    """Until the other end's kernel has all that was sent."""
    assert eventually(lambda: not any(ioctl(sock, SIOCOUTQ, bytes(4))))


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
