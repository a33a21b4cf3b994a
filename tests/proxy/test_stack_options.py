"""Stack options of a CONNECT through a running proxy, over plain TCP: what the reply says, what the remote host has.

All is in a network namespace, with its own names and its own cookies of TCP Fast Open.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from codec.client import Socks6Client
from codec.reply import ReplyCode
from codec.socks6.messages import OperationReply
from codec.socks6.option import Option
from codec.socks6.option_list import Options
from codec.socks6.stack import HappyEyeballs, Leg, NoFragmentation, TcpFastOpen, Tos, Ttl
from tests.conftest import namespace_name, namespaces
from tests.proxy.namespaces import socket_in
from tests.proxy.peers import Tunnel, receive_all, socks6_request
from tests.proxy.running import LOOPBACK, PATIENCE, RunningProxy

pytestmark = [pytest.mark.netns, pytest.mark.slow]

CLIENT, REMOTE, BOTH = Leg.CLIENT_PROXY, Leg.PROXY_REMOTE, Leg.BOTH
EITHER_FAMILY = pytest.mark.parametrize("host", ["127.0.0.1", "::1"], ids=["ipv4", "ipv6"])
FIRST, SECOND = "127.0.0.2", "127.0.0.3"
"""What the name `several` stands for."""
LISTEN = 'listen=[{address="127.0.0.1:0",mptcp=false},{address="[::1]:0",mptcp=false}]'
PLAIN = ("--set", LISTEN, "--set", "outward.mptcp=false")
ONE_AFTER_ANOTHER = ("--set", "timeouts.connect=3600", "--set", "outward.happy_eyeballs_delay=0.02")
"""Who does not race waits for ever for an address that does not answer."""

# linux/tcp.h
TCP_SAVE_SYN = 27
TCP_SAVED_SYN = 28
TCP_INFO_OPTIONS = 5
TCPI_OPT_SYN_DATA = 32


@dataclass(frozen=True, slots=True)
class Syn:
    """The first packet of a connection, as it came to the remote host."""

    tos: int
    ttl: int
    may_be_fragmented: bool

    @classmethod
    def of(cls, connection: socket.socket) -> Syn:
        """`TCP_SAVE_SYN` was set on the listening socket."""
        octets = connection.getsockopt(socket.IPPROTO_TCP, TCP_SAVED_SYN, 512)
        if connection.family == socket.AF_INET:
            return cls(octets[1], octets[8], not octets[6] & 0x40)
        return cls((octets[0] << 4 | octets[1] >> 4) & 0xFF, octets[7], may_be_fragmented=False)


class World:
    """A namespace, a proxy in it, and sockets of the test's own in it."""

    def __init__(self, held: ExitStack, namespace: str, hosts: Path) -> None:
        """`hosts` is what the proxy finds at /etc/hosts."""
        self.namespace = namespace
        within = ("ip", "netns", "exec", namespace)
        subprocess.run([*within, "sysctl", "-qw", "net.ipv4.tcp_fastopen=3"], check=True)
        # `ip netns exec` has given the shell a mount namespace of its own.
        shell = ("sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts))
        serve = ("serve", "--workers", "1", *LOOPBACK, *PLAIN, *ONE_AFTER_ANOTHER)
        self._proxy = held.enter_context(RunningProxy(*serve, prefix=(*within, *shell)))

    @contextmanager
    def listening(
        self, host: str, port: int = 0, *, backlog: int = 16, fast_open: bool = False
    ) -> Iterator[socket.socket]:
        with self._socket(host) as listener:
            listener.settimeout(PATIENCE)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, TCP_SAVE_SYN, 1)
            if fast_open:
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
            listener.bind((host, port))
            listener.listen(backlog)
            yield listener

    @contextmanager
    def silent(self, host: str, port: int) -> Iterator[None]:
        """A host that takes no more connections, and does not say so."""
        with self.listening(host, port, backlog=0), self._socket(host) as one:
            one.connect((host, port))
            yield

    @contextmanager
    def connected(self, family: int = socket.AF_INET) -> Iterator[socket.socket]:
        """To the proxy."""
        host, _, port = self._proxy.addresses[family == socket.AF_INET6].rpartition(":")
        with self._socket(host.strip("[]")) as sock:
            sock.settimeout(PATIENCE)
            sock.connect((host.strip("[]"), int(port)))
            yield sock

    def answers(self, client: Socks6Client, family: int = socket.AF_INET) -> Options:
        """The options of the operation reply to a request that succeeds."""
        with self.connected(family) as sock:
            return options_of(Tunnel(sock, client))

    def _socket(self, host: str) -> socket.socket:
        return socket_in(self.namespace, socket.AF_INET6 if ":" in host else socket.AF_INET)


def options_of(tunnel: Tunnel) -> Options:
    assert tunnel.code is ReplyCode.SUCCEEDED
    assert isinstance(tunnel.reply, OperationReply)
    return tunnel.reply.options


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as held:
        hosts = tmp_path_factory.mktemp("world") / "hosts"
        hosts.write_text(f"{FIRST} several\n{SECOND} several\n")
        yield World(held, namespace_name(held.enter_context(namespaces())()), hosts)


# --- TOS, TTL, no fragmentation ---


@EITHER_FAMILY
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ((Tos(BOTH, 0x20),), {Tos(CLIENT, 0x20), Tos(REMOTE, 0x20)}),
        ((Tos(CLIENT, 0x2F), Tos(REMOTE, 0xBB)), {Tos(CLIENT, 0x2C), Tos(REMOTE, 0xB8)}),
        ((Ttl(CLIENT, 40), Ttl(REMOTE, 50)), {Ttl(CLIENT, 40), Ttl(REMOTE, 50)}),
        ((Ttl(BOTH, 0),), {Ttl(CLIENT, 64), Ttl(REMOTE, 64)}),
        ((NoFragmentation(BOTH, True),), {NoFragmentation(CLIENT, True), NoFragmentation(REMOTE, True)}),
        ((NoFragmentation(REMOTE, False),), {NoFragmentation(REMOTE, False)}),
        (
            (Tos(REMOTE, 0x20), Ttl(REMOTE, 50), NoFragmentation(REMOTE, True)),
            {Tos(REMOTE, 0x20), Ttl(REMOTE, 50), NoFragmentation(REMOTE, True)},
        ),
    ],
    ids=["tos", "tos-and-ecn", "ttl", "no-ttl", "no-fragmentation", "fragmentation", "all"],
)
def test_what_is_wished_of_packets_is_done_and_told_as_it_came_out(
    world: World, host: str, asked: Options, told: set[Option]
) -> None:
    """The kernel keeps the ECN bits of a TCP socket to itself, and a TTL of 0 would reach nobody."""
    with world.listening(host) as remote:
        answers = world.answers(socks6_request(host, remote.getsockname()[1], asked), remote.family)
        with remote.accept()[0] as connection:
            syn = Syn.of(connection)
    assert set(answers) == told
    assert len(answers) == len(told)
    for option in told:
        if isinstance(option, Tos) and option.leg is REMOTE:
            assert syn.tos == option.tos
        elif isinstance(option, Ttl) and option.leg is REMOTE:
            assert syn.ttl == option.ttl
        elif option == NoFragmentation(REMOTE, True):
            assert not syn.may_be_fragmented


# --- Happy Eyeballs ---


@pytest.mark.parametrize("wanted", [True, False])
def test_whether_addresses_raced_is_told_for_names_alone(world: World, wanted: bool) -> None:
    wish = HappyEyeballs(REMOTE, wanted)
    with world.listening(FIRST) as remote:
        port = remote.getsockname()[1]
        assert world.answers(socks6_request("several", port, (wish,))) == (wish,)
        assert world.answers(socks6_request(FIRST, port, (wish,))) == ()


@pytest.mark.parametrize(("answering", "silent"), [(FIRST, SECOND), (SECOND, FIRST)], ids=["first", "second"])
def test_an_address_that_does_not_answer_is_outrun(world: World, answering: str, silent: str) -> None:
    with world.listening(answering) as remote:
        port = remote.getsockname()[1]
        with world.silent(silent, port):
            wish = HappyEyeballs(REMOTE, True)
            assert world.answers(socks6_request("several", port, (wish,))) == (wish,)
        with remote.accept()[0] as connection:
            assert connection.getsockname() == (answering, port)


# --- TCP Fast Open ---


def sent_through(world: World, remote: socket.socket, data: bytes, *options: Option) -> tuple[Options, bytes, bool]:
    """What the reply says, what the remote host got, and whether its kernel took some of it from the SYN.

    `data` are sent with the request, and nothing follows them.
    """
    host, port = remote.getsockname()[:2]
    client = socks6_request(host, port, options)
    with world.connected() as sock:
        sock.sendall(client.open() + data)
        sock.shutdown(socket.SHUT_WR)
        reply = client.receive_reply(sock.recv(4096))
        assert isinstance(reply, OperationReply)
        assert reply.code is ReplyCode.SUCCEEDED
        with remote.accept()[0] as connection:
            connection.settimeout(PATIENCE)
            received = receive_all(connection)
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_OPTIONS + 1)
    return reply.options, received, bool(info[TCP_INFO_OPTIONS] & TCPI_OPT_SYN_DATA)


@pytest.fixture
def fast(world: World) -> Iterator[socket.socket]:
    """A remote host that takes data in a SYN, and whose cookie the proxy's kernel has."""
    with world.listening("127.0.0.1", fast_open=True) as remote:
        sent_through(world, remote, b"a cookie, please", TcpFastOpen(REMOTE, 0))
        yield remote


@pytest.mark.parametrize("limit", [0, 1, 20, 60_000])
@pytest.mark.parametrize("size", [20, 100_000])
def test_the_syn_carries_no_more_than_is_wished_and_the_rest_follows(
    world: World, fast: socket.socket, limit: int, size: int
) -> None:
    data = os.urandom(size)
    answers, received, in_syn = sent_through(world, fast, data, TcpFastOpen(REMOTE, limit))
    assert received == data
    assert in_syn
    (told,) = answers
    assert isinstance(told, TcpFastOpen)
    if 0 < limit <= 20 or size == 20:
        assert told.payload_size == min(limit or size, size)
    else:
        assert 1000 < told.payload_size <= (limit or 0xFFFF)


def test_the_first_syn_asks_for_a_cookie_and_carries_nothing(world: World) -> None:
    """Cookies are kept by address: this one is used nowhere else."""
    data = os.urandom(5000)
    with world.listening("127.0.0.4", fast_open=True) as remote:
        assert sent_through(world, remote, data, TcpFastOpen(REMOTE, 0)) == ((TcpFastOpen(REMOTE, 0),), data, False)


def test_without_data_there_is_nothing_for_the_syn(world: World, fast: socket.socket) -> None:
    assert sent_through(world, fast, b"", TcpFastOpen(REMOTE, 0)) == ((TcpFastOpen(REMOTE, 0),), b"", False)


def test_nobody_gets_data_in_the_syn_who_did_not_wish_for_it(world: World, fast: socket.socket) -> None:
    data = os.urandom(5000)
    assert sent_through(world, fast, data) == ((), data, False)


@pytest.mark.usefixtures("fast")
def test_a_host_that_passes_over_the_data_in_the_syn_gets_them_again(world: World) -> None:
    """The same address at another port, where TCP Fast Open is not known."""
    data = os.urandom(5000)
    with world.listening("127.0.0.1") as remote:
        answers, received, in_syn = sent_through(world, remote, data, TcpFastOpen(REMOTE, 100))
    assert answers == (TcpFastOpen(REMOTE, 100),)
    assert (received, in_syn) == (data, False)
