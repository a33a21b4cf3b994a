"""Who comes when there are too many already, and who takes too long to say what it wants."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from codec.address import Address
from codec.client import Socks6Client
from codec.command import Command
from codec.reply import ReplyCode
from codec.socks6 import messages
from codec.socks6.option import Option
from codec.socks6.option_list import find_option
from codec.socks6.options import SessionId, SessionOk, SessionRequest
from tests.proxy.peers import (
    Tunnel,
    connected_socket,
    receive_all,
    receive_exactly,
    socks5_request,
    socks6_request,
    tunnel,
)
from tests.proxy.running import LOOPBACK, ONE_WORKER, PATIENCE, RunningProxy
from tests.proxy.tls_client import certify
from tests.proxy.waiting import eventually

pytestmark = pytest.mark.slow
GREETING = bytes.fromhex("050100")
METHOD = bytes.fromhex("0500")
TWO_WORKERS = ("serve", "--listen", "127.0.0.1:0", "--workers", "2", *LOOPBACK)
MANY = 16
"""So many that both of two workers get some, but for once in 30 000 times."""


def goes_on(tunnel: Tunnel) -> bool:
    """Whether the echo server is still to be heard, for as long as a client that comes meanwhile would take."""
    for _ in range(50):
        tunnel.socket.sendall(b"hello")
        if receive_exactly(tunnel.socket, 5) != b"hello":
            return False
    return True


def is_readable(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def name_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()
    return f"{host}:{port}"


def test_beyond_the_limit_clients_wait_until_another_has_left(echo_port: int) -> None:
    with RunningProxy(*ONE_WORKER, "--set", "limits.connections=2") as proxy, ExitStack() as held:
        first, second = [
            held.enter_context(tunnel(proxy.address, socks5_request("127.0.0.1", echo_port))) for _ in range(2)
        ]
        waiting = [held.enter_context(connected_socket(proxy.address)) for _ in range(2)]
        for sock in waiting:
            sock.sendall(GREETING)
        assert goes_on(first)
        assert goes_on(second)
        assert not any(is_readable(sock) for sock in waiting)
        first.socket.close()
        assert receive_exactly(waiting[0], 2) == METHOD
        assert goes_on(second)
        assert not is_readable(waiting[1])
        waiting[0].close()
        assert receive_exactly(waiting[1], 2) == METHOD


def test_a_client_with_too_many_connections_is_turned_away_and_others_are_not(echo_port: int) -> None:
    with RunningProxy(*ONE_WORKER, "--set", "limits.connections_per_client=2") as proxy, ExitStack() as held:
        first, second = [
            held.enter_context(tunnel(proxy.address, socks5_request("127.0.0.1", echo_port))) for _ in range(2)
        ]
        for _ in range(3):
            with connected_socket(proxy.address) as sock:
                assert receive_all(sock) == b""
                assert proxy.connection(client=name_of(sock))["end"] == "too many connections from this client"
        with socket.socket() as other:
            other.bind(("127.0.0.2", 0))
            other.settimeout(PATIENCE)
            other.connect(proxy.address)
            assert Tunnel(other, socks5_request("127.0.0.1", echo_port)).code is ReplyCode.SUCCEEDED
        assert goes_on(first)
        assert goes_on(second)
        left = name_of(first.socket)
        first.socket.close()
        assert proxy.connection(client=left)["end"] == "closed"
        with tunnel(proxy.address, socks5_request("127.0.0.1", echo_port)) as third:
            assert goes_on(third)


# --- Clients whose SOCKSv6 session is another worker's ---


class Sessions:
    """Asks a proxy for connections in one session."""

    def __init__(self, proxy: RunningProxy, port: int) -> None:
        self._proxy = proxy
        self._port = port
        with connected_socket(proxy.address) as sock:
            session = find_option(self._ask(sock, SessionRequest()).options, SessionId)
            name = name_of(sock)
        assert session is not None
        self._session = session
        proxy.connection(client=name, end="closed")

    @contextmanager
    def asking(self) -> Iterator[socket.socket]:
        """A connection on which a request has been sent."""
        with connected_socket(self._proxy.address) as sock:
            sock.sendall(self._client(self._session).open())
            yield sock

    def is_served(self, sock: socket.socket) -> bool:
        """Whether the request is granted; the other way is to be turned away without an answer."""
        try:
            answer = sock.recv(4096)
        except ConnectionResetError:  # turned away before the request was read
            return False
        if not answer:
            return False
        verdict = self._client().receive(answer)
        assert isinstance(verdict, messages.AuthenticationReply)
        assert verdict.options == (SessionOk(),)
        return True

    def serves_another(self) -> bool:
        with self.asking() as sock:
            return self.is_served(sock)

    def _client(self, *options: Option) -> Socks6Client:
        return Socks6Client(messages.Request(Command.CONNECT, Address.of("127.0.0.1"), self._port, options))

    def _ask(self, sock: socket.socket, *options: Option) -> messages.AuthenticationReply:
        client = self._client(*options)
        sock.sendall(client.open())
        verdict = client.receive(sock.recv(4096))
        assert isinstance(verdict, messages.AuthenticationReply)
        return verdict


def test_who_is_handed_over_counts_among_the_connections_of_its_client(echo_port: int) -> None:
    with RunningProxy(*TWO_WORKERS, "--set", "limits.connections_per_client=2") as proxy, ExitStack() as held:
        session = Sessions(proxy, echo_port)
        asking = [held.enter_context(session.asking()) for _ in range(2)]
        assert all(session.is_served(sock) for sock in asking)
        assert not any(session.serves_another() for _ in range(MANY))
        left = name_of(asking[0])
        asking[0].close()
        assert proxy.connection(client=left)["end"] == "closed"
        assert session.serves_another()


def test_who_is_handed_over_to_a_worker_with_too_many_is_turned_away(echo_port: int) -> None:
    """Those whom the kernel brings to that worker itself wait, as any others do."""
    with RunningProxy(*TWO_WORKERS, "--set", "limits.connections=2") as proxy, ExitStack() as held:
        session = Sessions(proxy, echo_port)
        served = [held.enter_context(session.asking()) for _ in range(2)]
        assert all(session.is_served(sock) for sock in served)
        asking = [held.enter_context(session.asking()) for _ in range(MANY)]
        proxy.connection(end="too many connections")
        turned_away = [sock for sock in asking if is_readable(sock)]
        assert not any(session.is_served(sock) for sock in turned_away)
        for sock in served:
            sock.sendall(b"hello")
            assert receive_exactly(sock, 5) == b"hello"
            sock.close()
        for sock in asking:
            if sock not in turned_away:
                session.is_served(sock)  # or turned away, but not left waiting
            sock.close()
        assert eventually(session.serves_another)


# --- Clients that take their time ---


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    """A proxy that waits for a request for a moment only; its second listener wants TLS."""
    tls = certify(tmp_path_factory.mktemp("tls"))
    with RunningProxy(
        *("serve", "--workers", "1", *LOOPBACK, "--set", "timeouts.handshake=0.3"),
        *("--set", 'listen=[{address="127.0.0.1:0"},{address="127.0.0.1:0",tls=true}]'),
        *("--set", f'tls={{certificate="{tls.certificate}",key="{tls.key}"}}'),
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("listener", "octets"),
    [
        (0, bytes.fromhex("04010050c0000201") + b"a" * 250),
        (0, bytes.fromhex("05ff") + bytes(255)),
        (0, socks6_request("a" * 250, 80).open()),
        (1, bytes.fromhex("1603010200") + bytes(512)),
    ],
    ids=["socks4", "socks5", "socks6", "tls"],
)
def test_a_client_that_trickles_its_request_is_closed_when_the_time_is_over(
    impatient: RunningProxy, listener: int, octets: bytes
) -> None:
    host, _, port = impatient.addresses[listener].rpartition(":")
    with connected_socket((host, int(port))) as sock:
        name = name_of(sock)
        assert trickled(sock, octets) < len(octets)
    assert impatient.connection(client=name)["end"] == "handshake timed out"


def trickled(sock: socket.socket, octets: bytes) -> int:
    """Send an octet at a time, each long before the time for all of them is over; how many until the proxy closed."""
    for number, octet in enumerate(octets):
        try:
            sock.sendall(bytes((octet,)))
        except (BrokenPipeError, ConnectionResetError):
            return number
        if select.select([sock], [], [], 0.03)[0]:
            return number + 1
    return len(octets)
