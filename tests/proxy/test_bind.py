"""BIND: who may come, what the client is told, and the backlog that a session can have."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from codec import socks4
from codec.address import Address
from codec.client import ClientConnection, Reply, Socks4Client, Socks6Client
from codec.command import Command
from codec.errors import NEED_DATA
from codec.reply import ReplyCode
from codec.socks6 import messages
from codec.socks6.dialect import DRAFT_04
from codec.socks6.draft04 import messages as messages04
from codec.socks6.option_list import Options, find_option
from codec.socks6.options import SessionId, SessionRequest
from codec.socks6.stack import Leg, ListenBacklog, Multipath, Tos
from tests.proxy.associations import LOOPBACK_NAME
from tests.proxy.peers import (
    connected_socket,
    exchange_unevenly,
    listening_socket,
    receive_all,
    receive_unevenly,
    reset,
    send_unevenly,
    socks5_request,
    socks6_request,
)
from tests.proxy.running import LOOPBACK, NO_SUCH_NAME, ONE_WORKER, PATIENCE, RunningProxy, stopped
from tests.proxy.waiting import eventually

BIND = Command.BIND
OCTETS = 1 << 17
TIMES = pytest.mark.parametrize("attempt", range(4))
"""A session's requests come to either worker, and are handed over."""


def socks4_request(host: str, port: int) -> Socks4Client:
    return Socks4Client(socks4.Request(BIND, Address.of(host), port))


def draft04_request(host: str, port: int) -> Socks6Client:
    return Socks6Client(messages04.Request(BIND, Address.of(host), port), spoken=DRAFT_04)


class Binding:
    """A client's BIND, reply by reply."""

    def __init__(self, sock: socket.socket, client: ClientConnection) -> None:
        self.socket = sock
        self._client = client
        self.session: SessionId | None = None
        sock.sendall(client.open())
        self.first = self.reply()

    def reply(self) -> Reply:
        event = self._client.receive(b"")
        while not isinstance(event, Reply):
            if isinstance(event, messages.AuthenticationReply):
                self.session = find_option(event.options, SessionId)
            self.socket.sendall(self._client.outgoing())
            if event is NEED_DATA:
                data = self.socket.recv(4096)
                assert data, "the proxy closed the connection"
                event = self._client.receive(data)
            else:
                event = self._client.receive(b"")
        return event

    @property
    def told(self) -> tuple[str, int]:
        assert self.first.code in (ReplyCode.SUCCEEDED, socks4.ResultCode.GRANTED)
        return self.first.address.host, self.first.port

    @property
    def options(self) -> Options:
        assert isinstance(self.first, messages.OperationReply)
        return self.first.options


@contextmanager
def binding(proxy: tuple[str, int], client: ClientConnection) -> Iterator[Binding]:
    with connected_socket(proxy) as sock:
        yield Binding(sock, client)


def socks6_bind(host: str = "127.0.0.1", port: int = 0, options: Options = ()) -> Socks6Client:
    return socks6_request(host, port, options, BIND)


def exchange(binding: Binding, peer: socket.socket) -> None:
    """The client is told who came, and all that both say arrives."""
    second = binding.reply()
    assert second.code in (ReplyCode.SUCCEEDED, socks4.ResultCode.GRANTED)
    assert (second.address.host, second.port) == peer.getsockname()[:2]
    exchange_unevenly(binding.socket, peer, OCTETS, seed=1)


REQUESTS = pytest.mark.parametrize(
    "client",
    [
        socks4_request("127.0.0.1", 0), socks4_request("0.0.0.0", 0), socks4_request(LOOPBACK_NAME, 0),
        socks5_request("127.0.0.1", 20, BIND), socks5_request("0.0.0.0", 0, BIND),
        socks5_request(LOOPBACK_NAME, 0, BIND),
        socks5_request("::1", 0, BIND), socks6_bind("127.0.0.1"), socks6_bind("::1"), socks6_bind("0.0.0.0"),
    ],
    ids=lambda client: f"{type(client).__name__}-{client._request.address.host}",
)  # fmt: skip


@REQUESTS
def test_a_peer_comes_and_data_flow(proxy: RunningProxy, client: ClientConnection) -> None:
    with binding(proxy.address, client) as b:
        wants = "::1" if ":" in b.told[0] else "127.0.0.1"
        with connected_socket((wants, b.told[1])) as peer:
            exchange(b, peer)
            local = b.socket.getsockname()
    line = proxy.connection(client=f"127.0.0.1:{local[1]}")
    assert (line["up"], line["down"], line["end"]) == (OCTETS, OCTETS, "closed")


def test_draft_04_binds_as_socks5_does() -> None:
    listen = '[{address="127.0.0.1:0",draft="04"}]'
    with (
        RunningProxy("serve", "--workers", "1", *LOOPBACK, "--set", f"listen={listen}") as proxy,
        connected_socket(proxy.address) as sock,
    ):
        client = draft04_request("127.0.0.2", 0)
        sock.sendall(client.open())
        replies: list[object] = []
        while len(replies) < 2:
            event = client.receive(sock.recv(4096))
            while event is not NEED_DATA:
                replies.append(event)
                event = client.receive(b"")
        reply = replies[1]
        assert isinstance(reply, messages04.OperationReply)
        with socket.create_connection((reply.address.host, reply.port), source_address=("127.0.0.2", 0)) as peer:
            second = client.receive(sock.recv(4096))
            assert isinstance(second, messages04.OperationReply)
            assert (second.address.host, second.port) == peer.getsockname()
            exchange_unevenly(sock, peer, OCTETS, seed=2)


@pytest.mark.parametrize("make", [socks4_request, lambda host, port: socks5_request(host, port, BIND)])
def test_another_than_the_expected_peer_is_turned_away(proxy: RunningProxy, make: object) -> None:
    assert callable(make)
    with binding(proxy.address, make("127.0.0.2", 0)) as b:
        port = b.told[1]
        with connected_socket(("127.0.0.1", port)) as stranger:
            assert not receive_some(stranger)
        with socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0)) as peer:
            exchange(b, peer)


def receive_some(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1)
    except ConnectionResetError:
        return b""


def is_closed(address: tuple[str, int]) -> bool:
    """Whether nobody listens there."""
    try:
        connected_socket(address).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it is just being closed
        return False
    return False


def test_only_one_peer_comes(proxy: RunningProxy) -> None:
    with binding(proxy.address, socks6_bind()) as b, connected_socket(b.told) as peer:
        exchange(b, peer)
        assert eventually(lambda: is_closed(b.told))


def test_the_wanted_address_and_port_are_bound(proxy: RunningProxy) -> None:
    with listening_socket("127.0.0.7") as free:
        wanted = free.getsockname()
    with binding(proxy.address, socks6_bind(*wanted)) as b:
        assert b.told == wanted
        with connected_socket(wanted) as peer:
            exchange(b, peer)


@pytest.mark.parametrize(
    ("client", "code"),
    [
        (socks6_bind("localhost"), ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED),
        (socks6_bind("127.0.0.1", 25), ReplyCode.NOT_ALLOWED),
        (socks6_bind("192.0.2.77"), ReplyCode.GENERAL_FAILURE),
        (socks5_request("169.254.169.254", 0, BIND), ReplyCode.NOT_ALLOWED),
        (socks5_request(NO_SUCH_NAME, 0, BIND), ReplyCode.HOST_UNREACHABLE),
        (socks4_request("169.254.169.254", 0), socks4.ResultCode.REJECTED_OR_FAILED),
    ],
    ids=["name", "port", "address", "forbidden peer", "no such peer", "socks4"],
)
def test_what_cannot_be_is_told(proxy: RunningProxy, client: ClientConnection, code: int) -> None:
    with binding(proxy.address, client) as b:
        assert b.first.code == code
        assert receive_all(b.socket) == b""


def test_a_port_that_is_taken_is_told(proxy: RunningProxy) -> None:
    with listening_socket() as taken, binding(proxy.address, socks6_bind(*taken.getsockname())) as b:
        assert b.first.code is ReplyCode.GENERAL_FAILURE


def rules(*texts: str) -> tuple[str, str]:
    return "--set", f"rules=[{','.join(texts)}]"


def test_the_rules_are_asked_with_the_peers_address() -> None:
    allow = '{verdict="allow",commands=["BIND"],networks=["127.0.0.2/32"]}'
    with RunningProxy(*ONE_WORKER, *rules(allow)) as proxy, binding(proxy.address, socks6_bind()) as b:
        with connected_socket(b.told) as stranger:
            assert not receive_some(stranger)
        with socket.create_connection(b.told, source_address=("127.0.0.2", 0)) as peer:
            exchange(b, peer)
        with binding(proxy.address, socks5_request("127.0.0.1", 0, BIND)) as refused:
            assert refused.first.code is ReplyCode.NOT_ALLOWED


def test_the_rules_are_asked_before_anything_listens() -> None:
    allow = '{verdict="allow",commands=["CONNECT"]}'
    with (
        RunningProxy(*ONE_WORKER, *rules(allow)) as proxy,
        binding(proxy.address, socks6_bind()) as b,
    ):
        assert b.first.code is ReplyCode.NOT_ALLOWED


def test_a_peer_that_does_not_come_is_told_by_the_second_reply() -> None:
    with RunningProxy(*ONE_WORKER, "--set", "timeouts.bind=0.3") as proxy:
        with binding(proxy.address, socks6_bind()) as b:
            assert b.reply().code is ReplyCode.TIMED_OUT
            assert receive_all(b.socket) == b""
            assert eventually(lambda: is_closed(b.told))
        with binding(proxy.address, socks5_request("0.0.0.0", 0, BIND)) as b:
            assert b.reply().code is ReplyCode.HOST_UNREACHABLE


@pytest.mark.parametrize("close", [socket.socket.close, reset], ids=["closes", "resets"])
def test_nobody_can_come_once_the_client_has_gone(proxy: RunningProxy, close: object) -> None:
    assert callable(close)
    with binding(proxy.address, socks6_bind()) as b:
        client = b.socket.getsockname()
        close(b.socket)
        proxy.connection(client=f"127.0.0.1:{client[1]}", end="client closed before its peer came")
        assert eventually(lambda: is_closed(b.told))


def test_nobody_waits_for_a_client_whose_end_came_with_its_request() -> None:
    """Of a proxy that is stopped meanwhile: both have come when it reads."""
    with RunningProxy(*ONE_WORKER) as proxy, connected_socket(proxy.address) as sock:
        with stopped(proxy.workers[0]):
            sock.sendall(socks6_bind().open())
            sock.shutdown(socket.SHUT_WR)
        proxy.connection(client=f"127.0.0.1:{sock.getsockname()[1]}", end="client closed before its peer came")


@pytest.mark.parametrize("client", [socks5_request("127.0.0.1", 0, BIND), socks6_bind()], ids=["socks5", "socks6"])
def test_what_is_sent_before_the_peer_comes_is_not_lost(proxy: RunningProxy, client: ClientConnection) -> None:
    with binding(proxy.address, client) as b, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_unevenly, b.socket, OCTETS, seed=3)
        with connected_socket(b.told) as peer:
            assert receive_unevenly(peer, seed=4, octets=OCTETS) == sending.result(PATIENCE)
            exchange(b, peer)


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("comes", [True, False], ids=["mptcp peer", "tcp peer"])
def test_multipath_is_told_truthfully_in_both_replies(proxy: RunningProxy, wanted: bool, comes: bool) -> None:
    """Whether it would be taken, and whether it is."""
    with binding(proxy.address, socks6_bind(options=(Multipath(Leg.PROXY_REMOTE, wanted),))) as b:
        assert b.options == (Multipath(Leg.PROXY_REMOTE, wanted),)
        with connected_socket(b.told, multipath=comes) as peer:
            second = b.reply()
            assert isinstance(second, messages.OperationReply)
            assert second.options == (Multipath(Leg.PROXY_REMOTE, wanted and comes),)
            exchange_unevenly(b.socket, peer, OCTETS, seed=5)


def test_tos_is_set_and_answered(proxy: RunningProxy) -> None:
    options: Options = (Tos(Leg.BOTH, 0x20), Multipath(Leg.PROXY_REMOTE, False))
    with binding(proxy.address, socks6_bind(options=options)) as b:
        assert {Tos(Leg.PROXY_REMOTE, 0x20), Tos(Leg.CLIENT_PROXY, 0x20)} <= set(b.options)


def test_without_a_session_there_is_no_backlog(proxy: RunningProxy) -> None:
    with binding(proxy.address, socks6_bind(options=(ListenBacklog(Leg.PROXY_REMOTE, 5),))) as b:
        assert b.options == (ListenBacklog(Leg.PROXY_REMOTE, 0),)
        with connected_socket(b.told) as peer:
            exchange(b, peer)


def with_backlog(count: int = 5) -> Socks6Client:
    return socks6_bind(options=(SessionRequest(), ListenBacklog(Leg.PROXY_REMOTE, count)))


def further(first: Binding) -> Socks6Client:
    """A further request of the session, to where the first one listens."""
    assert first.session is not None
    return socks6_bind(*first.told, (first.session,))


@TIMES
def test_a_session_takes_peers_one_by_one_from_its_backlog(proxy: RunningProxy, attempt: int) -> None:
    with binding(proxy.address, with_backlog()) as first:
        assert ListenBacklog(Leg.PROXY_REMOTE, 5) in first.options
        for _ in range(2):  # the peer is there first, then the request
            with connected_socket(first.told) as peer, binding(proxy.address, further(first)) as b:
                assert b.told == first.told
                exchange(b, peer)
        for _ in range(2):  # and the other way round
            with binding(proxy.address, further(first)) as b, connected_socket(first.told) as peer:
                exchange(b, peer)
        with (
            binding(proxy.address, further(first)) as one,
            binding(proxy.address, further(first)) as two,
            connected_socket(first.told) as peer,
            connected_socket(first.told) as other,
        ):
            exchange(one, peer)
            exchange(two, other)


def test_the_backlog_is_bounded(proxy: RunningProxy) -> None:
    with binding(proxy.address, with_backlog(65535)) as first:
        assert ListenBacklog(Leg.PROXY_REMOTE, 128) in first.options


def test_the_first_connection_holds_the_backlog_open() -> None:
    with (
        RunningProxy(*ONE_WORKER, "--set", "timeouts.bind=0.5") as proxy,
        binding(proxy.address, with_backlog()) as first,
        binding(proxy.address, further(first)) as b,
    ):
        assert b.reply().code is ReplyCode.TIMED_OUT  # the first has waited as long, and is still there
        with binding(proxy.address, further(first)) as waiting:
            first.socket.close()
            assert waiting.reply().code is ReplyCode.GENERAL_FAILURE
        assert eventually(lambda: is_closed(first.told))
        # The address is an ordinary one again.
        with binding(proxy.address, further(first)) as anew, connected_socket(first.told) as peer:
            exchange(anew, peer)


def test_a_backlog_that_nobody_uses_ends() -> None:
    with RunningProxy(*ONE_WORKER, "--set", "timeouts.idle=0.4") as proxy, binding(proxy.address, with_backlog()) as b:
        assert receive_all(b.socket) == b""
        proxy.connection(end="idle")


def test_another_session_does_not_get_in(proxy: RunningProxy) -> None:
    with binding(proxy.address, with_backlog()) as first, binding(proxy.address, with_backlog()) as other:
        assert other.session is not None
        stranger = socks6_bind(*first.told, (other.session,))
        with binding(proxy.address, stranger) as b:
            assert b.first.code is ReplyCode.GENERAL_FAILURE


def test_without_descriptors_peers_wait_until_there_are_some() -> None:
    """Clients that say nothing take them all; when they have gone the peer is let in."""
    with RunningProxy(*ONE_WORKER, nofile=64) as proxy, binding(proxy.address, socks6_bind()) as b:
        idle = [connected_socket(proxy.address) for _ in range(60)]
        with connected_socket(b.told) as peer:
            for sock in idle:
                sock.close()
            exchange(b, peer)
