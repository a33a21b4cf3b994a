"""Random and damaged octets against the running server, in a namespace that nothing gets out of."""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import product
from pathlib import Path

import pytest

from codec import rfc1929, socks4, socks5
from codec.address import Address
from codec.client import Socks5Client
from codec.command import Command
from codec.rfc1929 import UserPassword
from codec.socks6 import messages, wire
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import wire as wire04
from lab.runner import Runner
from proxy.users import Hash
from tests.codec import vectors
from tests.conftest import namespace_name
from tests.fuzzing.mutations import mutate
from tests.proxy.associations import (
    LOOPBACK_NAME,
    datagram_socket,
    receive_from,
    socks5_association,
    socks6_association,
)
from tests.proxy.footprint import memory, sockets
from tests.proxy.namespaces import run_in
from tests.proxy.peers import (
    Tunnel,
    connected_socket,
    echo,
    receive_exactly,
    reset,
    serving,
)
from tests.proxy.running import LOOPBACK, RunningProxy
from tests.proxy.tls_client import certify
from tests.proxy.users_file import users_file
from tests.proxy.waiting import eventually

pytestmark = pytest.mark.netns
AT_ONCE = 60
BATCHES = 6
GROWTH = 1 << 20
"""Octets of memory that the second half of it all may take, after the first."""
SHORT = (
    "--set", "timeouts={handshake=0.4,connect=0.4,bind=0.4,idle=0.4,half_closed=0.4}",
    "--set", "clients.failures_per_minute=1000000",
)  # fmt: skip
ALICE = UserPassword(b"alice", b"correct horse")
DATA = b"GET / HTTP/1.1\r\n\r\n"


def openings(port: int) -> list[bytes]:
    """All that well-behaved clients of every version begin with."""
    hosts = [Address.of(host) for host in ("127.0.0.1", "::1", "localhost", "192.0.2.1")]
    logged_in = b"\x05\x02\x00\x02" + rfc1929.encode_user_password(ALICE)
    found = [case.octets + DATA for case in vectors.load() if case.kind == "req"]
    for host, command in product(hosts, (Command.CONNECT, Command.BIND, Command.UDP_ASSOCIATE)):
        request5 = socks5.encode_request(socks5.Request(command, host, port))
        request6 = wire.encode_request(messages.Request(command, host, port))
        initial = len(DATA) if command is Command.CONNECT else 0
        request04 = wire04.encode_request(messages04.Request(command, host, port, initial))
        opened = (b"\x05\x01\x00" + request5, logged_in + request5, request6, request04)
        found += [octets + DATA for octets in opened]
    return [*found, *(socks4.encode_request(socks4.Request(Command.CONNECT, host, port)) for host in hosts[::2])]


def misbehave(chance: random.Random, sock: socket.socket, octets: bytes) -> None:
    """Send them in pieces, and then wait, end, leave, or reset."""
    with suppress(OSError):  # it may have closed already
        while octets:
            size = chance.choice((1, 3, 16, 1000))
            sock.sendall(octets[:size])
            octets = octets[size:]
        chance.choice((lambda: None, lambda: sock.shutdown(socket.SHUT_WR), sock.close, lambda: reset(sock)))()


def wait_until_over(sock: socket.socket) -> None:
    """Read what comes until the proxy has closed. `TimeoutError` when it never does."""
    with suppress(ConnectionError, ssl.SSLError):
        while sock.fileno() >= 0 and sock.recv(1 << 16):
            continue


def storm(chance: random.Random, connect: Callable[[], socket.socket], seeds: Sequence[bytes], batches: int) -> None:
    """Batches of clients, each with a damaged opening or with noise; all are over when it returns."""
    for _ in range(batches):
        with ExitStack() as held:
            socks = [held.enter_context(connect()) for _ in range(AT_ONCE)]
            for sock in socks:
                noise = chance.randbytes(chance.randint(0, 300))
                misbehave(chance, sock, noise if chance.random() < 0.1 else mutate(chance, seeds))
            for sock in socks:
                wait_until_over(sock)


@contextmanager
def unharmed(proxy: RunningProxy) -> Iterator[None]:
    """Whatever happens in the block: no worker dies, no defect shows, no socket stays."""
    before = sockets(proxy.workers[0])
    yield
    assert eventually(lambda: sockets(proxy.workers[0]) <= before)
    assert not [line for line in proxy.lines if line["event"] in {"defect", "worker ended"}]


@pytest.fixture(params=["open", "passwords", "draft-04", "tls"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ...]:
    """Arguments of a proxy that demands what the parameter says."""
    if request.param == "passwords":
        users = users_file(tmp_path, {"alice": Hash.of(ALICE.password)})
        return "--listen", "127.0.0.1:0", "--set", f'clients.users="{users}"'
    if request.param == "draft-04":
        return "--set", 'listen=[{address="127.0.0.1:0",draft="04"}]'
    if request.param == "tls":
        tls = certify(tmp_path)
        files = f'tls={{certificate="{tls.certificate}",key="{tls.key}"}}'
        return "--set", 'listen=[{address="127.0.0.1:0",tls=true}]', "--set", files
    return "--listen", "127.0.0.1:0"


@pytest.mark.slow
def test_damaged_handshakes_harm_nobody(netns: Runner, listener: tuple[str, ...]) -> None:
    chance = random.Random(6)
    behind_tls = any("tls=true" in word for word in listener)

    def within() -> None:
        with (
            RunningProxy("serve", "--workers", "1", *LOOPBACK, *SHORT, *listener) as proxy,
            serving(echo) as port,
            unharmed(proxy),
        ):

            def connect() -> socket.socket:
                sock = connected_socket(proxy.address)
                # Half of the clients of a TLS listener know that it is one.
                return tls_socket(sock) if behind_tls and chance.random() < 0.5 else sock

            seeds = openings(port)
            storm(chance, connect, seeds, BATCHES)
            grown = memory(proxy.workers[0])
            storm(chance, connect, seeds, BATCHES)
            assert memory(proxy.workers[0]) - grown < GROWTH
            with tls_socket(connected_socket(proxy.address)) if behind_tls else connected_socket(proxy.address) as sock:
                t = Tunnel(sock, Socks5Client(socks5.Request(Command.CONNECT, Address.of("127.0.0.1"), port), ALICE))
                t.socket.sendall(b"still there?")
                assert receive_exactly(t.socket, 12) == b"still there?"

    run_in(namespace_name(netns), within)


def tls_socket(sock: socket.socket) -> socket.socket:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # who it is does not matter here, only what it does
    return context.wrap_socket(sock)


def test_damaged_datagrams_harm_nobody(netns: Runner) -> None:
    run_in(namespace_name(netns), send_damaged_datagrams)


def send_damaged_datagrams() -> None:
    chance = random.Random(6)
    hosts = ("127.0.0.1", "::1", LOOPBACK_NAME)
    with RunningProxy("serve", "--listen", "127.0.0.1:0", "--workers", "2", *LOOPBACK) as proxy:
        with unharmed(proxy), datagram_socket() as remote, socks5_association(proxy.address) as old:
            port = remote.getsockname()[1]
            packets = [socks5.encode_datagram(socks5.Datagram(Address.of(host), port, b"hello")) for host in hosts]
            for _ in range(3000):
                old.socket.sendto(mutate(chance, packets), old.relay)
            with socks6_association(proxy.address) as new:
                packets = [new.message(host, port, b"hello") for host in hosts]
                for _ in range(3000):
                    new.socket.sendto(mutate(chance, packets), proxy.address)
            for _ in range(100):
                with socks6_association(proxy.address) as new:
                    new.control.sendall(mutate(chance, [new.message("127.0.0.1", port, b"hello") * 3]))
        with datagram_socket() as remote, socks6_association(proxy.address) as new:
            new.send_over_udp("127.0.0.1", remote.getsockname()[1], b"still there")
            assert receive_from(remote)[0] == b"still there"
