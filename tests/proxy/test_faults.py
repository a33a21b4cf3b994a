"""Peers that go away at every stage, with a reset or without a word: nothing hangs, and nothing stays."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from codec.reply import ReplyCode
from codec.rfc1929 import UserPassword
from proxy.users import Hash
from tests.proxy.footprint import sockets
from tests.proxy.peers import (
    EITHER_VERSION,
    MakeRequest,
    Serve,
    both_ends,
    connected_socket,
    exchange_unevenly,
    listening_socket,
    receive_all,
    receive_exactly,
    reset,
    send_request,
    serving,
    socks5_request,
    socks6_request,
    tunnel,
    wait_until_taken,
)
from tests.proxy.running import LOOPBACK, ONE_WORKER, PATIENCE, RunningProxy
from tests.proxy.users_file import users_file
from tests.proxy.waiting import eventually

TCP_REPAIR = 19
FLOOD = 8 << 20


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    """With one worker, whose descriptors are counted, and over plain TCP, where a reset is always one."""
    listen = 'listen=[{address="127.0.0.1:0", mptcp=false}]'
    with RunningProxy("serve", "--set", listen, "--workers", "1", *LOOPBACK, "--set", "outward.mptcp=false") as running:
        yield running


@contextmanager
def nothing_stays(proxy: RunningProxy) -> Iterator[None]:
    """Whatever happens in the block: afterwards no socket is left, and the next client is served."""
    before = sockets(proxy.workers[0])
    yield
    assert eventually(lambda: sockets(proxy.workers[0]) <= before)
    with both_ends(proxy.address, socks5_request) as (client, remote):
        exchange_unevenly(client, remote, 1 << 16, seed=1)


def end_of(proxy: RunningProxy, client: tuple[str, int]) -> str:
    """Why the connection of this client ended, as the log says."""
    return str(proxy.connection(client=f"127.0.0.1:{client[1]}")["end"])


def vanish(sock: socket.socket) -> None:
    """As a host does that loses its power: it says nothing, and knows nothing of the connection later."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.close()


@pytest.mark.parametrize(
    "sent", ["", "05", "0501", "050100", "05010005010001c0", "06", "06010000005000", "0401", "16030100"]
)
def test_a_client_may_reset_anywhere_in_its_handshake(proxy: RunningProxy, sent: str) -> None:
    with nothing_stays(proxy), connected_socket(proxy.address) as sock:
        sock.sendall(bytes.fromhex(sent))
        wait_until_taken(sock)
        name = sock.getsockname()
        reset(sock)
        assert end_of(proxy, name).startswith(("client reset", "malformed"))


@EITHER_VERSION
def test_a_client_may_reset_while_its_host_is_being_reached(proxy: RunningProxy, request_: MakeRequest) -> None:
    with nothing_stays(proxy), listening_socket() as full, connected_socket(proxy.address) as sock:
        full.listen(0)
        with connected_socket(full.getsockname()):
            send_request(sock, request_("127.0.0.1", full.getsockname()[1]))
            wait_until_taken(sock)
            name = sock.getsockname()
            reset(sock)
            assert end_of(proxy, name) == "client reset"


@pytest.mark.slow
@EITHER_VERSION
def test_clients_may_reset_while_their_passwords_are_being_checked(tmp_path: Path, request_: MakeRequest) -> None:
    """One is checked at a time, which takes long for alice: those of the other clients wait then."""
    slow = Hash(bytes(16), bytes(32), n=1 << 17)
    users = users_file(tmp_path, {"alice": slow, "bob": Hash.of(b"right")})
    with RunningProxy(*ONE_WORKER, "--set", f'clients.users="{users}"') as proxy, ExitStack() as held:
        before = sockets(proxy.workers[0])
        asking = [held.enter_context(connected_socket(proxy.address)) for _ in range(5)]
        for sock in asking:
            send_request(sock, request_("127.0.0.1", 1, credentials=UserPassword(b"alice", b"wrong")))
        wait_until_taken(asking[-1])
        names = [sock.getsockname() for sock in asking]
        for sock in asking:
            reset(sock)
        assert [end_of(proxy, name) for name in names] == ["client reset"] * len(names)
        assert eventually(lambda: sockets(proxy.workers[0]) <= before)
        with_password = partial(request_, credentials=UserPassword(b"bob", b"right"))
        with both_ends(proxy.address, with_password) as (one, other):
            exchange_unevenly(one, other, 1 << 16, seed=2)


def reset_at_once(connection: socket.socket) -> None:
    reset(connection)


def reset_in_the_middle(connection: socket.socket) -> None:
    receive_exactly(connection, FLOOD // 8)
    reset(connection)


def reset_after_its_end(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    receive_exactly(connection, 1000)
    reset(connection)


def flood(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.sendall(bytes(FLOOD))


@pytest.mark.parametrize("serve", [reset_at_once, reset_in_the_middle, reset_after_its_end])
@EITHER_VERSION
def test_a_host_may_reset_at_any_time(proxy: RunningProxy, request_: MakeRequest, serve: Serve) -> None:
    with nothing_stays(proxy), serving(serve) as port, connected_socket(proxy.address) as sock:
        name = sock.getsockname()
        send_request(sock, request_("127.0.0.1", port))
        flooding = threading.Thread(target=flood, args=(sock,))
        flooding.start()
        flooding.join(PATIENCE)
        # A reset may come before the proxy has seen the connection: then it was not made.
        assert end_of(proxy, name) in {"remote reset", "refused: general failure"}
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            sock.sendall(b"more")


def test_a_host_that_resets_once_the_client_has_ended_is_passed_on(proxy: RunningProxy) -> None:
    def wait_for_the_end(connection: socket.socket) -> None:
        receive_all(connection)
        reset(connection)

    with (
        nothing_stays(proxy),
        serving(wait_for_the_end) as port,
        tunnel(proxy.address, socks6_request("127.0.0.1", port)) as t,
    ):
        t.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            t.socket.recv(1)


@pytest.mark.netns
def test_a_client_that_has_vanished_is_noticed_when_the_host_speaks(proxy: RunningProxy) -> None:
    gone = threading.Event()
    errors: list[OSError] = []

    def speak_later(connection: socket.socket) -> None:
        assert gone.wait(PATIENCE)
        connection.sendall(b"are you there?")
        try:
            connection.recv(1)
        except OSError as error:
            errors.append(error)

    with nothing_stays(proxy), serving(speak_later) as port, connected_socket(proxy.address) as sock:
        name = sock.getsockname()
        client = socks6_request("127.0.0.1", port)
        sock.sendall(client.open())
        reply = client.receive_reply(receive_exactly(sock, 16))
        assert getattr(reply, "code", None) is ReplyCode.SUCCEEDED
        vanish(sock)
        gone.set()
        assert end_of(proxy, name) == "client reset"
    assert [type(error) for error in errors] == [ConnectionResetError]


@pytest.mark.netns
def test_a_host_that_has_vanished_is_noticed_when_the_client_speaks(proxy: RunningProxy) -> None:
    with (
        nothing_stays(proxy),
        serving(vanish) as port,
        tunnel(proxy.address, socks5_request("127.0.0.1", port)) as t,
    ):
        with pytest.raises(ConnectionResetError):
            say_until_it_fails(t.socket)
        assert end_of(proxy, t.socket.getsockname()) == "remote reset"


def say_until_it_fails(sock: socket.socket) -> None:
    assert eventually(lambda: not sock.send(b"are you there?"))


@pytest.mark.netns
def test_peers_that_vanish_and_say_nothing_are_forgotten_in_time(echo_port: int) -> None:
    with (
        RunningProxy(
            "serve", "--listen", "127.0.0.1:0", "--workers", "1", *LOOPBACK, "--set", "timeouts.idle=0.3"
        ) as proxy,
        nothing_stays(proxy),
        connected_socket(proxy.address) as sock,
    ):
        name = sock.getsockname()
        client = socks6_request("127.0.0.1", echo_port)
        sock.sendall(client.open())
        receive_exactly(sock, 16)
        vanish(sock)
        assert end_of(proxy, name) == "idle"
