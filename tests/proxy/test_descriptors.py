"""Without descriptors: what there is goes on, nobody else is taken, and it recovers by itself."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from codec.address import Address
from codec.client import Socks6Client
from codec.command import Command
from codec.socks6 import messages
from codec.socks6.option_list import find_option
from codec.socks6.options import SessionId, SessionRequest
from codec.socks6.stack import Leg, Parity, PortParity
from tests.proxy.associations import datagram_socket, receive_from, socks6_association, udp_request
from tests.proxy.footprint import descriptors, listens
from tests.proxy.peers import (
    EITHER_VERSION,
    MakeRequest,
    both_ends,
    connected_socket,
    exchange_unevenly,
    receive_exactly,
    socks5_request,
    socks6_request,
)
from tests.proxy.running import LOOPBACK, ONE_WORKER, RunningProxy
from tests.proxy.waiting import eventually

NOFILE = 64
OCTETS = 1 << 17
LARGEST_ASSOCIATION = 5
"""Descriptors: for its connection, for datagrams of the client, for those of remote hosts of both families, and for a
port that is reserved."""
MOST_CLIENTS = 30
"""Until one has come to a certain one of two workers, a few times."""
GREETING = b"\x05\x01\x00"
PLAIN_TCP = ("serve", "--set", 'listen=[{address="127.0.0.1:0", mptcp=false}]', *LOOPBACK)


def test_more_clients_than_there_are_descriptors_for_wait_until_others_leave() -> None:
    """So many connections are taken as can be served."""
    with (
        RunningProxy(*ONE_WORKER, nofile=NOFILE) as proxy,
        both_ends(proxy.address, socks5_request) as (client, remote),
        ExitStack() as held,
    ):
        clients = [held.enter_context(connected_socket(proxy.address)) for _ in range(40)]
        for sock in clients:
            sock.sendall(GREETING)
        exchange_unevenly(client, remote, OCTETS, seed=1)
        for sock in clients:
            assert receive_exactly(sock, 2) == b"\x05\x00"
            sock.close()
        with both_ends(proxy.address, socks6_request) as (another, its_remote):
            exchange_unevenly(another, its_remote, OCTETS, seed=2)


@EITHER_VERSION
def test_when_the_descriptors_run_out_it_keeps_relaying_and_recovers_by_itself(request_: MakeRequest) -> None:
    """UDP associations need more of them than connections do."""
    with RunningProxy(*PLAIN_TCP, "--workers", "1", nofile=NOFILE) as proxy, ExitStack() as held:
        worker, port = proxy.workers[0], proxy.address[1]
        client, remote = held.enter_context(both_ends(proxy.address, request_))
        with all_taken(proxy, worker):
            assert eventually(lambda: listens(worker, port))  # the limit on connections is not what stops it
            waiting = held.enter_context(connected_socket(proxy.address))
            waiting.sendall(GREETING)
            assert eventually(lambda: not listens(worker, port))
            exchange_unevenly(client, remote, OCTETS, seed=3)
            assert descriptors(worker) == NOFILE
            assert not select.select([waiting], [], [], 0)[0]
        assert receive_exactly(waiting, 2) == b"\x05\x00"
        with both_ends(proxy.address, request_) as (client, remote):
            exchange_unevenly(client, remote, OCTETS, seed=4)


@pytest.mark.slow
def test_a_client_that_the_worker_with_its_session_has_no_descriptors_for_is_turned_away() -> None:
    clients = 24
    with RunningProxy(*PLAIN_TCP, "--workers", "2", nofile=NOFILE) as proxy, ExitStack() as held:
        with socks6_association(proxy.address, udp_request(options=(SessionRequest(),))) as association:
            session = find_option(association.session_options, SessionId)
        assert session is not None
        noop = messages.Request(Command.NOOP, Address.of("0.0.0.0"), 0, (session,))
        with all_taken(proxy, proxy.workers[session.id[0]], session):
            waiting = [held.enter_context(connected_socket(proxy.address)) for _ in range(clients)]
            for sock in waiting:
                sock.sendall(Socks6Client(noop).open())
            assert proxy.connection(end="no descriptors left")["protocol"] == "unknown"
        # Those that came to the worker itself have been left in the kernel's queue meanwhile.
        answered = sum(map(is_answered, waiting))
        assert 0 < answered < clients
        assert eventually(lambda: turned_away(proxy) == clients - answered)


def is_answered(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1))
    except ConnectionResetError:
        return False


def turned_away(proxy: RunningProxy) -> int:
    return sum(line.get("end") == "no descriptors left" for line in proxy.lines)


@contextmanager
def all_taken(proxy: RunningProxy, worker: int, session: SessionId | None = None) -> Iterator[None]:
    """Every descriptor that the worker may have is held by associations, of the session if there is one, and by a few
    clients that say nothing more: fewer connections than it would take."""
    parity = PortParity(Leg.PROXY_REMOTE, Parity.EVEN, True)
    request = udp_request(options=(parity, session) if session is not None else (parity,))
    with ExitStack() as held, datagram_socket() as remote, datagram_socket("::1") as other:
        while NOFILE - descriptors(worker) >= LARGEST_ASSOCIATION:
            association = held.enter_context(socks6_association(proxy.address, request))
            for sock in (remote, other):
                host, port = sock.getsockname()[:2]
                association.send_over_udp(host, port, b"hello")
                receive_from(sock)
        for _ in range(MOST_CLIENTS):
            if descriptors(worker) == NOFILE:
                break
            sock = held.enter_context(connected_socket(proxy.address))
            sock.sendall(GREETING)
            assert receive_exactly(sock, 2) == b"\x05\x00"
        assert descriptors(worker) == NOFILE
        yield
