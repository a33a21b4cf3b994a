"""From the request to the reply: every kind of client, every kind of address, every way to be refused."""

from __future__ import annotations

import socket

import pytest

from codec.address import Address
from codec.client import Socks6Client
from codec.command import Command
from codec.errors import RemoteProtocolError
from codec.reply import ReplyCode
from codec.socks6 import messages as socks6
from tests.proxy.peers import (
    EITHER_VERSION,
    MakeRequest,
    connected_socket,
    echo,
    listening_socket,
    receive_all,
    receive_exactly,
    serving,
    socks5_request,
    socks6_request,
    tunnel,
)
from tests.proxy.running import NO_SUCH_NAME, ONE_WORKER, RunningProxy


@EITHER_VERSION
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_host_is_reached_by_address_and_by_name(proxy: RunningProxy, request_: MakeRequest, host: str) -> None:
    with (
        serving(echo, "::1" if host == "::1" else "127.0.0.1") as port,
        tunnel(proxy.address, request_(host, port)) as t,
    ):
        assert t.code is ReplyCode.SUCCEEDED
        t.socket.sendall(b"hello")
        assert receive_exactly(t.socket, 5) == b"hello"
        local = t.socket.getsockname()
    line = proxy.connection(client=f"127.0.0.1:{local[1]}")
    assert line["destination"] == (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    assert (line["up"], line["down"], line["end"]) == (5, 5, "closed")


@EITHER_VERSION
def test_the_reply_names_the_address_that_the_proxy_bound(proxy: RunningProxy, request_: MakeRequest) -> None:
    peers: list[tuple[str, int]] = []
    with (
        serving(lambda connection: peers.append(connection.getpeername())) as port,
        tunnel(proxy.address, request_("127.0.0.1", port)) as t,
    ):
        receive_all(t.socket)
        assert (t.reply.address.host, t.reply.port) == peers[0]


@EITHER_VERSION
def test_a_refused_connection_is_told(proxy: RunningProxy, request_: MakeRequest) -> None:
    with listening_socket() as closed:
        port = closed.getsockname()[1]
    with tunnel(proxy.address, request_("127.0.0.1", port)) as t:
        assert t.code is ReplyCode.CONNECTION_REFUSED
        assert t.reply.address == Address.of("0.0.0.0")
        assert receive_all(t.socket) == b""


@EITHER_VERSION
def test_a_name_that_does_not_exist_is_told(proxy: RunningProxy, request_: MakeRequest) -> None:
    with tunnel(proxy.address, request_(NO_SUCH_NAME, 80)) as t:
        assert t.code is ReplyCode.HOST_UNREACHABLE


def test_a_noop_succeeds_and_ends(proxy: RunningProxy) -> None:
    with tunnel(proxy.address, socks6_request("0.0.0.0", 0, command=Command.NOOP)) as t:
        assert t.code is ReplyCode.SUCCEEDED
        assert receive_all(t.socket) == b""


@EITHER_VERSION
def test_a_host_that_does_not_answer_is_told_as_a_timeout(request_: MakeRequest) -> None:
    with RunningProxy(*ONE_WORKER, "--set", "timeouts.connect=0.3") as proxy, listening_socket() as full:
        full.listen(0)
        with connected_socket(full.getsockname()):
            with tunnel(proxy.address, request_("127.0.0.1", full.getsockname()[1])) as t:
                timed_out = ReplyCode.HOST_UNREACHABLE if request_ is socks5_request else ReplyCode.TIMED_OUT
                assert t.code is timed_out
            proxy.connection(end="refused: timed out")


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("050102", "05ff"),
        ("050100" + "05010002", "0500" + "05080001000000000000"),
        ("0601000000500002", "06000000" + "060800000000000100000000"),
        ("0601000400500001c000020100050003", "06000000" + "060100000000000100000000"),
        ("04010050c0000201" + "61" * 256, "005b000000000000"),
        ("474554202f", "06"),
    ],
    ids=["no-method", "socks5-address-type", "socks6-address-type", "socks6-option", "socks4", "http"],
)
def test_bad_input_is_answered_and_ends(proxy: RunningProxy, sent: str, answer: str) -> None:
    with connected_socket(proxy.address) as sock:
        sock.sendall(bytes.fromhex(sent))
        assert receive_all(sock).hex() == answer


@EITHER_VERSION
def test_a_request_that_trickles_in_is_served(proxy: RunningProxy, request_: MakeRequest, echo_port: int) -> None:
    client = request_("127.0.0.1", echo_port)
    octets = client.open()
    if request_ is socks5_request:
        client.receive(b"\x05\x00")
        octets += client.outgoing()
    with connected_socket(proxy.address) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in octets:
            sock.sendall(bytes((octet,)))
        sock.sendall(b"hello")
        sock.shutdown(socket.SHUT_WR)
        assert receive_all(sock).endswith(b"hello")


def test_the_socks6_replies_come_in_one_piece(proxy: RunningProxy, echo_port: int) -> None:
    request = socks6.Request(Command.CONNECT, Address.of("127.0.0.1"), echo_port)
    with connected_socket(proxy.address) as sock:
        sock.sendall(Socks6Client(request).open())
        assert len(sock.recv(4096)) == 4 + 12


def test_a_client_that_closes_in_its_handshake_is_forgotten(proxy: RunningProxy) -> None:
    with connected_socket(proxy.address) as sock:
        sock.sendall(b"\x05\x01")
        local = sock.getsockname()
    proxy.connection(client=f"127.0.0.1:{local[1]}", end="client closed in its handshake")


def test_a_client_that_says_nothing_is_closed_in_time() -> None:
    with RunningProxy(*ONE_WORKER, "--set", "timeouts.handshake=0.3") as proxy, connected_socket(proxy.address) as sock:
        sock.sendall(b"\x05")
        assert receive_all(sock) == b""
        proxy.connection(end="handshake timed out")


def test_a_proxy_of_another_version_is_recognised(proxy: RunningProxy) -> None:
    client = socks6_request("127.0.0.1", 1)
    with connected_socket(proxy.address) as sock:
        sock.sendall(b"\x07" + client.open()[1:])
        client.receive(receive_all(sock))
    with pytest.raises(RemoteProtocolError, match="does not speak this version"):
        client.receive_end()
