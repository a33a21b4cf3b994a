"""The two ends of a proxied connection, as blocking sockets in this process."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle, islice
from time import sleep

from codec import socks5
from codec.address import Address
from codec.client import ClientConnection, Socks5Client, Socks6Client
from codec.command import Command
from codec.errors import NEED_DATA
from codec.reply import ReplyCode
from codec.socks6 import messages as socks6
from codec.socks6.option_list import Options
from tests.proxy.running import PATIENCE

IPPROTO_MPTCP = 262
# Below those that the kernel chooses from; each process that runs tests has a range for itself.
_PORTS = 7_000
_first_port = 10_000 + _PORTS * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_client_ports = cycle(range(_first_port, _first_port + _PORTS))
Serve = Callable[[socket.socket], None]
MakeRequest = Callable[..., ClientConnection]


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


def socks5_request(host: str, port: int, command: Command = Command.CONNECT) -> Socks5Client:
    return Socks5Client(socks5.Request(command, Address.of(host), port))


def socks6_request(host: str, port: int, options: Options = (), command: Command = Command.CONNECT) -> Socks6Client:
    return Socks6Client(socks6.Request(command, Address.of(host), port, options))


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


def send_unevenly(sock: socket.socket, octets: int, seed: int) -> str:
    """Send random octets in pieces of random sizes with a random pause here and there; their SHA-256."""
    chance = random.Random(seed)
    digest = hashlib.sha256()
    while octets:
        piece = chance.randbytes(min(octets, int(2 ** chance.uniform(0, 18))))
        if chance.random() < 0.05:
            sleep(chance.uniform(0, 0.01))
        sock.sendall(piece)
        digest.update(piece)
        octets -= len(piece)
    return digest.hexdigest()


def receive_unevenly(sock: socket.socket, seed: int, early: bytes = b"") -> str:
    """Receive to the end in pieces of random sizes, with pauses; the SHA-256 of all, `early` in front."""
    chance = random.Random(seed)
    digest = hashlib.sha256(early)
    while piece := sock.recv(int(2 ** chance.uniform(0, 18))):
        digest.update(piece)
        if chance.random() < 0.05:
            sleep(chance.uniform(0, 0.01))
    return digest.hexdigest()


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
