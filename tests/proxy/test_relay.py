"""What happens to the octets: none lost, none added, ends and resets passed on."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from codec.errors import NEED_DATA
from codec.reply import ReplyCode
from tests.proxy.footprint import memory
from tests.proxy.peers import (
    EITHER_VERSION,
    MakeRequest,
    both_ends,
    carry_unevenly,
    connected_socket,
    exchange_unevenly,
    receive_all,
    receive_exactly,
    receive_unevenly,
    reset,
    send_unevenly,
    serving,
    socks5_request,
    socks6_request,
    tunnel,
    wait_until_taken,
)
from tests.proxy.running import ONE_WORKER, PATIENCE, RunningProxy, stopped

PIECE = 1 << 16
UNEVEN = 1 << 20
BULK = 8 << 20
LARGEST_OF_BULK = 1 << 21


@EITHER_VERSION
@pytest.mark.parametrize("multipath", [False, True], ids=["tcp", "mptcp"])
def test_both_directions_arrive_whole_at_any_pace(proxy: RunningProxy, request_: MakeRequest, multipath: bool) -> None:
    with both_ends(proxy.address, request_, multipath=multipath) as (client, remote):
        exchange_unevenly(client, remote, UNEVEN, seed=1)


@EITHER_VERSION
@pytest.mark.parametrize("multipath", [False, True], ids=["tcp", "mptcp"])
def test_bulk_arrives_whole_both_ways(proxy: RunningProxy, request_: MakeRequest, multipath: bool) -> None:
    with both_ends(proxy.address, request_, multipath=multipath) as (client, remote):
        exchange_unevenly(client, remote, BULK, seed=2, largest=LARGEST_OF_BULK)
        local = client.getsockname()
    line = proxy.connection(client=f"127.0.0.1:{local[1]}")
    assert (line["up"], line["down"], line["mptcp"]) == (BULK, BULK, multipath)


@EITHER_VERSION
def test_the_end_of_one_direction_leaves_the_other_open(proxy: RunningProxy, request_: MakeRequest) -> None:
    with both_ends(proxy.address, request_) as (client, remote):
        exchange_unevenly(client, remote, PIECE, seed=3)
        carry_unevenly(client, remote, PIECE, seed=4)
        client.shutdown(socket.SHUT_WR)
        assert remote.recv(1) == b""
        carry_unevenly(remote, client, UNEVEN, seed=5)
        remote.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""


@EITHER_VERSION
def test_a_server_that_ends_first_can_still_be_talked_to(proxy: RunningProxy, request_: MakeRequest) -> None:
    with both_ends(proxy.address, request_) as (client, remote):
        carry_unevenly(remote, client, PIECE, seed=6)
        remote.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        carry_unevenly(client, remote, UNEVEN, seed=7)
        client.close()
        assert remote.recv(1) == b""


@EITHER_VERSION
def test_what_is_sent_right_before_the_end_comes_before_it(proxy: RunningProxy, request_: MakeRequest) -> None:
    """Both ends send and end at the same time, and receive to the end afterwards."""
    with both_ends(proxy.address, request_) as (client, remote), ThreadPoolExecutor(2) as pool:
        receiving = [pool.submit(receive_unevenly, end, seed) for end, seed in ((remote, 8), (client, 9))]
        sent = [send_unevenly(client, UNEVEN, seed=10)]
        client.shutdown(socket.SHUT_WR)
        sent.append(send_unevenly(remote, UNEVEN, seed=11))
        remote.shutdown(socket.SHUT_WR)
        assert [one.result(PATIENCE) for one in receiving] == sent


@pytest.mark.parametrize("multipath", [False, True], ids=["tcp", "mptcp"])
def test_a_reset_from_the_server_reaches_the_client(proxy: RunningProxy, multipath: bool) -> None:
    def answer_with_reset(connection: socket.socket) -> None:
        connection.recv(1)
        reset(connection)

    with (
        serving(answer_with_reset, multipath=multipath) as port,
        tunnel(proxy.address, socks5_request("127.0.0.1", port), multipath=multipath) as t,
    ):
        t.socket.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            t.socket.recv(1)
        local = t.socket.getsockname()
    proxy.connection(client=f"127.0.0.1:{local[1]}", end="remote reset")


@pytest.mark.parametrize("multipath", [False, True], ids=["tcp", "mptcp"])
def test_a_reset_from_the_client_reaches_the_server(proxy: RunningProxy, multipath: bool) -> None:
    errors: list[OSError] = []

    def expect_reset(connection: socket.socket) -> None:
        connection.sendall(b"x")
        try:
            connection.recv(1)
        except OSError as error:
            errors.append(error)

    with (
        serving(expect_reset, multipath=multipath) as port,
        tunnel(proxy.address, socks5_request("127.0.0.1", port), multipath=multipath) as t,
    ):
        assert t.early or t.socket.recv(1)
        reset(t.socket)
    assert [type(error) for error in errors] == [ConnectionResetError]


def test_a_reset_reaches_a_client_that_is_being_held_up(proxy: RunningProxy) -> None:
    """The relay reads nothing from a server while the client takes nothing: it must see the reset all the same."""
    full = threading.Event()

    def fill_then_reset(connection: socket.socket) -> None:
        connection.settimeout(0.3)
        with suppress(TimeoutError):
            while True:
                connection.sendall(bytes(1 << 20))
        full.set()
        reset(connection)

    with serving(fill_then_reset) as port, tunnel(proxy.address, socks5_request("127.0.0.1", port)) as t:
        assert full.wait(PATIENCE)
        with pytest.raises(ConnectionResetError):
            receive_all(t.socket)


def test_what_came_before_a_reset_arrives(proxy: RunningProxy) -> None:
    """As when a web server refuses an upload: it answers, and closes while more is on its way."""
    answer = os.urandom(50_000)

    def answer_and_reset(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(answer)
        reset(connection)

    for request_ in (socks5_request, socks6_request) * 5:
        with serving(answer_and_reset) as port, tunnel(proxy.address, request_("127.0.0.1", port)) as t:
            t.socket.sendall(b"x")
            got = b""
            with suppress(ConnectionResetError):
                while piece := t.socket.recv(1 << 16):
                    got += piece
            assert got == answer[: len(got)]
            line = proxy.connection(client=f"127.0.0.1:{t.socket.getsockname()[1]}")
        assert (line["down"], line["end"]) == (len(answer), "remote reset")


@pytest.mark.slow
def test_without_a_pipe_to_be_had_bulk_arrives_and_ends() -> None:
    """Slow readers hold all the pipes that 64 descriptors allow; another client copies instead, to the end."""
    content = os.urandom(300_000)
    full = threading.Semaphore(0)
    over = threading.Event()

    def flood(connection: socket.socket) -> None:
        connection.settimeout(0.3)
        with suppress(TimeoutError):
            while True:
                connection.sendall(bytes(1 << 20))
        full.release()
        over.wait(PATIENCE)

    with (
        RunningProxy(*ONE_WORKER, nofile=64) as proxy,
        serving(flood) as slow,
        serving(lambda connection: connection.sendall(content)) as port,
        ExitStack() as held,
    ):
        held.callback(over.set)
        for _ in range(64 // 16):
            held.enter_context(tunnel(proxy.address, socks5_request("127.0.0.1", slow)))
            assert full.acquire(timeout=PATIENCE)
        for _ in range(10):
            with tunnel(proxy.address, socks6_request("127.0.0.1", port)) as t:
                assert t.early + receive_all(t.socket) == content


def test_what_stands_behind_urgent_data_is_not_left_behind() -> None:
    """The proxy is stopped meanwhile: all of it has come when it reads, and a read ends at the urgent octet."""

    def repeat(connection: socket.socket) -> None:
        connection.sendall(receive_exactly(connection, 5))

    with (
        RunningProxy(*ONE_WORKER) as proxy,
        serving(repeat) as port,
        tunnel(proxy.address, socks5_request("127.0.0.1", port)) as t,
    ):
        with stopped(proxy.workers[0]):
            t.socket.sendall(b"ab")
            t.socket.send(b"!", socket.MSG_OOB)
            t.socket.sendall(b"cde")
            wait_until_taken(t.socket)
        assert receive_exactly(t.socket, 5) == b"abcde"


@pytest.mark.parametrize("octets", [5, 100_000])
def test_false_start_data_goes_along_with_the_request(proxy: RunningProxy, echo_port: int, octets: int) -> None:
    data = os.urandom(octets)
    client = socks6_request("127.0.0.1", echo_port)
    with connected_socket(proxy.address) as sock:
        sock.sendall(client.open() + data)
        sock.shutdown(socket.SHUT_WR)
        answer = receive_all(sock)
    reply = client.receive_reply(answer)
    assert reply is not NEED_DATA
    assert reply.code is ReplyCode.SUCCEEDED
    assert client.leftover() == data


def test_a_socks5_client_may_send_everything_at_once(proxy: RunningProxy, echo_port: int) -> None:
    client = socks5_request("127.0.0.1", echo_port)
    opening = client.open()
    client.receive(b"\x05\x00")
    with connected_socket(proxy.address) as sock:
        sock.sendall(opening + client.outgoing() + b"early")
        sock.shutdown(socket.SHUT_WR)
        assert receive_all(sock).endswith(b"early")


def test_a_server_that_speaks_first_is_heard_behind_the_reply(proxy: RunningProxy) -> None:
    with (
        serving(lambda connection: connection.sendall(b"220 ready")) as port,
        tunnel(proxy.address, socks6_request("127.0.0.1", port)) as t,
    ):
        assert t.early + receive_all(t.socket) == b"220 ready"


@pytest.mark.slow
def test_slow_readers_hold_up_the_server_and_cost_no_memory() -> None:
    """The proxy keeps a buffer or a pipe for each, and reads no more: so the server cannot send any more either. When
    they read on, they have all that it had sent."""
    requests = (socks5_request, socks6_request) * 3
    with (
        RunningProxy(*ONE_WORKER) as proxy,
        ExitStack() as held,
        ThreadPoolExecutor(len(requests)) as pool,
    ):
        for request in requests[:2]:  # what the first connections cost is for all that follow
            with both_ends(proxy.address, request) as (client, remote):
                exchange_unevenly(client, remote, UNEVEN, seed=14)
        before = memory(proxy.workers[0])
        pairs = [held.enter_context(both_ends(proxy.address, request)) for request in requests]
        sent = list(pool.map(send_until_held_up, (remote for _, remote in pairs), range(len(pairs))))
        grown = memory(proxy.workers[0]) - before
        received = pool.map(
            lambda client: receive_unevenly(client, seed=12, largest=LARGEST_OF_BULK), (client for client, _ in pairs)
        )
        assert list(received) == sent
        for client, remote in pairs:
            carry_unevenly(client, remote, PIECE, seed=13)
    assert grown < len(requests) * (128 << 10)


def send_until_held_up(remote: socket.socket, seed: int) -> str:
    """Send for as long as it is taken, then end; the SHA-256 of what was."""
    chance, digest = random.Random(seed), hashlib.sha256()
    remote.settimeout(0.3)
    with suppress(TimeoutError):
        while True:
            piece = chance.randbytes(1 << 18)
            digest.update(piece[: remote.send(piece)])
    remote.settimeout(PATIENCE)
    remote.shutdown(socket.SHUT_WR)
    return digest.hexdigest()
