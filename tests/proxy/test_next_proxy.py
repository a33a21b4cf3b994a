"""`socksify --via`: through another proxy, and what becomes of clients when that one misbehaves."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from codec.address import Address
from codec.errors import NEED_DATA
from codec.reply import ReplyCode
from codec.server import ServerConnection
from proxy.mptcp import IPPROTO_MPTCP, is_multipath
from tests.proxy.footprint import sockets
from tests.proxy.namespaces import ALLOW, LISTEN, SERVER, Row, client_of, namespaces_in_a_row, proxy_in, socket_in
from tests.proxy.peers import Serve, accepted_by, carry_unevenly, echo, exchange_unevenly, receive_all, reset, served_on
from tests.proxy.waiting import eventually

pytestmark = pytest.mark.netns
EITHER_FAMILY = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
OCTETS = 1 << 20
ANYWHERE = SERVER[socket.AF_INET], 80
"""Where clients mean to go; the next proxy does not care."""


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    with namespaces_in_a_row() as made:
        yield made


@EITHER_FAMILY
def test_a_redirected_connection_goes_through_a_socks6_proxy(row: Row, family: socket.AddressFamily) -> None:
    with ExitStack() as held:
        via = held.enter_context(proxy_in(row.gateway, "serve", "--listen", "127.0.0.1:0", "--allow", "127.0.0.1"))
        socksify = ("socksify", *LISTEN, *ALLOW, "--via", via.addresses[0])
        proxy = held.enter_context(proxy_in(row.gateway, *socksify))
        listener = held.enter_context(socket_in(row.server, family, IPPROTO_MPTCP))
        listener.bind((SERVER[family], 0))
        listener.listen()
        address = listener.getsockname()[:2]
        with client_of(row, address) as client, accepted_by(listener) as remote:
            assert is_multipath(remote)
            exchange_unevenly(client, remote, OCTETS, seed=1)
        for one, protocol in ((proxy, "redirect"), (via, "socks6")):
            line = one.connection(protocol=protocol)
            assert (line["mptcp"], line["up"], line["down"], line["end"]) == (True, OCTETS, OCTETS, "closed")
            assert line["destination"].endswith(f":{address[1]}")


@contextmanager
def place_for_next_proxy(row: Row) -> Iterator[tuple[socket.socket, tuple[str, ...]]]:
    """A socket that is bound where the next proxy is to be, and the arguments of a socksifier that goes there."""
    with socket_in(row.gateway, socket.AF_INET) as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener, ("socksify", *LISTEN, *ALLOW, "--via", f"127.0.0.1:{listener.getsockname()[1]}")


def request_of(connection: socket.socket) -> ServerConnection:
    """The conversation, once the request has come."""
    server = ServerConnection()
    while server.receive(connection.recv(4096)) is NEED_DATA:
        pass
    return server


def behave(connection: socket.socket) -> None:
    """As a proxy through which everyone reaches an echo server."""
    server = request_of(connection)
    connection.sendall(server.send_reply(ReplyCode.SUCCEEDED, Address.of("127.0.0.1"), 1, ()))
    echo(connection)


def reset_once_asked(connection: socket.socket) -> None:
    request_of(connection)
    reset(connection)


def close_once_asked(connection: socket.socket) -> None:
    request_of(connection)


def say_nothing(connection: socket.socket) -> None:
    with suppress(ConnectionResetError):
        receive_all(connection)


def say_rubbish(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    say_nothing(connection)


def speak_another_version(connection: socket.socket) -> None:
    connection.sendall(b"\x05\xff")
    say_nothing(connection)


def say_half_a_reply(connection: socket.socket) -> None:
    reply = request_of(connection).send_reply(ReplyCode.SUCCEEDED, Address.of("127.0.0.1"), 1, ())
    connection.sendall(reply[: len(reply) // 2])


def reset_within_its_reply(connection: socket.socket) -> None:
    say_half_a_reply(connection)
    reset(connection)


def stop_within_its_reply(connection: socket.socket) -> None:
    say_half_a_reply(connection)
    say_nothing(connection)


def refuse_to_authenticate(connection: socket.socket) -> None:
    connection.sendall(request_of(connection).send_authentication(False))
    say_nothing(connection)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("misbehave", "end"),
    [
        (reset, "general failure"),
        (reset_once_asked, "general failure"),
        (close_once_asked, "general failure"),
        (say_nothing, "timed out"),
        (say_rubbish, "general failure"),
        (speak_another_version, "general failure"),
        (say_half_a_reply, "general failure"),
        (reset_within_its_reply, "general failure"),
        (stop_within_its_reply, "timed out"),
        (refuse_to_authenticate, "general failure"),
    ],
)
def test_a_next_proxy_that_misbehaves_costs_one_connection(row: Row, misbehave: Serve, end: str) -> None:
    """The client is reset, nothing stays, and the next client is served."""
    behaviours = iter((misbehave, behave))

    def serve(connection: socket.socket) -> None:
        next(behaviours)(connection)

    with place_for_next_proxy(row) as (listener, via):
        listener.listen()
        with served_on(listener, serve), proxy_in(row.gateway, *via, "--set", "timeouts.connect=0.5") as proxy:
            before = sockets(proxy.workers[0])
            with pytest.raises(ConnectionResetError), client_of(row, ANYWHERE) as client:
                client.recv(1)
            proxy.connection(end=f"refused: {end}")
            assert eventually(lambda: sockets(proxy.workers[0]) <= before)
            with client_of(row, ANYWHERE) as client:
                carry_unevenly(client, client, OCTETS, seed=2)


def test_a_next_proxy_that_is_not_there_is_reached_once_it_is(row: Row) -> None:
    with place_for_next_proxy(row) as (listener, via), proxy_in(row.gateway, *via) as proxy:
        with pytest.raises(ConnectionResetError), client_of(row, ANYWHERE) as client:
            client.recv(1)
        proxy.connection(end="refused: connection refused")
        listener.listen()
        with served_on(listener, behave), client_of(row, ANYWHERE) as client:
            carry_unevenly(client, client, OCTETS, seed=3)


def test_a_client_may_reset_while_the_next_proxy_says_nothing(row: Row) -> None:
    with place_for_next_proxy(row) as (listener, via):
        listener.listen()
        with served_on(listener, say_nothing), proxy_in(row.gateway, *via) as proxy:
            before = sockets(proxy.workers[0])
            with client_of(row, ANYWHERE) as client:
                assert eventually(lambda: sockets(proxy.workers[0]) == before + 2)
                reset(client)
                proxy.connection(end="client reset")
            assert eventually(lambda: sockets(proxy.workers[0]) <= before)
