"""What cannot be tried on loopback: redirected connections, routes that refuse, names with several addresses."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from codec.reply import ReplyCode
from proxy.mptcp import IPPROTO_MPTCP, is_multipath
from tests.proxy.namespaces import (
    ALLOW,
    GATEWAY,
    LISTEN,
    SERVER,
    Row,
    client_of,
    namespaces_in_a_row,
    proxy_in,
    socket_in,
)
from tests.proxy.peers import Tunnel, accepted_by, exchange_unevenly, socks6_request

pytestmark = pytest.mark.netns
EITHER_FAMILY = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
OCTETS = 1 << 20


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    with namespaces_in_a_row() as made:
        yield made


@contextmanager
def server_on(row: Row, family: int) -> Iterator[tuple[socket.socket, int]]:
    """Listening over MPTCP; its port."""
    with socket_in(row.server, family, IPPROTO_MPTCP) as listener:
        listener.bind((SERVER[socket.AddressFamily(family)], 0))
        listener.listen()
        yield listener, listener.getsockname()[1]


def relayed_over_multipath(client: socket.socket, listener: socket.socket) -> bool:
    """Whether the server was reached over MPTCP, by a connection that carries all both ways and ends."""
    with accepted_by(listener) as remote:
        exchange_unevenly(client, remote, OCTETS, seed=1)
        client.shutdown(socket.SHUT_WR)
        assert remote.recv(1) == b""
        multipath = is_multipath(remote)
    assert client.recv(1) == b""
    return multipath


@EITHER_FAMILY
def test_a_redirected_connection_goes_on_over_multipath(row: Row, family: socket.AddressFamily) -> None:
    with proxy_in(row.gateway, "socksify", *LISTEN, *ALLOW) as proxy, server_on(row, family) as (listener, port):
        with client_of(row, (SERVER[family], port)) as client:
            assert relayed_over_multipath(client, listener)
        line = proxy.connection(protocol="redirect")
    assert (line["mptcp"], line["up"], line["down"], line["end"]) == (True, OCTETS, OCTETS, "closed")
    assert line["destination"].endswith(f":{port}")


@EITHER_FAMILY
def test_a_redirected_connection_to_a_closed_port_is_reset(row: Row, family: socket.AddressFamily) -> None:
    with proxy_in(row.gateway, "socksify", *LISTEN, *ALLOW) as proxy:
        with pytest.raises(ConnectionResetError), client_of(row, (SERVER[family], 1)) as client:
            client.recv(1)
        proxy.connection(end="refused: connection refused")


@EITHER_FAMILY
def test_a_connection_to_the_socksifier_itself_is_no_loop(row: Row, family: socket.AddressFamily) -> None:
    with proxy_in(row.gateway, "socksify", *LISTEN, *ALLOW) as proxy:
        with pytest.raises(ConnectionResetError), client_of(row, (GATEWAY[family], 6667)) as client:
            client.recv(1)
        proxy.connection(end="loop")


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("198.51.100.1", ReplyCode.HOST_UNREACHABLE),
        ("198.51.100.2", ReplyCode.NOT_ALLOWED),
        ("203.0.113.1", ReplyCode.NETWORK_UNREACHABLE),
        ("2001:db8::1", ReplyCode.NETWORK_UNREACHABLE),
    ],
)
def test_routes_that_refuse_are_told_apart(row: Row, host: str, code: ReplyCode) -> None:
    with (
        proxy_in(row.gateway, "serve", "--listen", "0.0.0.0:6666", *ALLOW),
        client_of(row, (GATEWAY[socket.AF_INET], 6666)) as sock,
    ):
        assert Tunnel(sock, socks6_request(host, 80)).code is code


@pytest.fixture
def names(row: Row) -> Iterator[None]:
    """Names that only the gateway's namespace knows: `ip netns exec` puts this file in the place of /etc/hosts."""
    folder = Path("/etc/netns") / row.gateway
    made_parent = not folder.parent.exists()
    folder.mkdir(parents=True)
    try:
        addresses = (SERVER[socket.AF_INET6], "198.51.100.1", SERVER[socket.AF_INET])
        (folder / "hosts").write_text("".join(f"{address} several\n" for address in addresses))
        yield
    finally:
        shutil.rmtree(folder)
        if made_parent:
            folder.parent.rmdir()


@EITHER_FAMILY
def test_the_next_address_of_a_name_is_tried_when_one_fails(
    row: Row, names: None, family: socket.AddressFamily
) -> None:
    """The server listens on one of its addresses only, whichever comes first."""
    with (
        proxy_in(row.gateway, "serve", "--listen", "0.0.0.0:6666", *ALLOW),
        server_on(row, family) as (listener, port),
        client_of(row, (GATEWAY[socket.AF_INET], 6666)) as client,
    ):
        assert Tunnel(client, socks6_request("several", port)).code is ReplyCode.SUCCEEDED
        assert relayed_over_multipath(client, listener)
