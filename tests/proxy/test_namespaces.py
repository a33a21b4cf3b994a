"""What cannot be tried on loopback: redirected connections, routes that refuse, names with several addresses."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from codec.reply import ReplyCode
from proxy.mptcp import IPPROTO_MPTCP, is_multipath
from tests.proxy.namespaces import CLIENT_NET, GATEWAY, SERVER, Row, namespaces_in_a_row, socket_in
from tests.proxy.peers import Tunnel, receive_all, served_on, socks6_request
from tests.proxy.running import PATIENCE, RunningProxy

pytestmark = pytest.mark.netns
EITHER_FAMILY = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
ALLOW = ("--allow", CLIENT_NET[0], "--allow", CLIENT_NET[1])
LISTEN = ("--listen", "0.0.0.0:6667", "--listen", "[::]:6667")
OCTETS = 1 << 20


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    with namespaces_in_a_row() as made:
        yield made


@contextmanager
def proxy_in(namespace: str, *arguments: str) -> Iterator[RunningProxy]:
    """As a service is run: without any capability."""
    without = ("setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all")
    with RunningProxy(*arguments, "--workers", "1", prefix=("ip", "netns", "exec", namespace, *without)) as proxy:
        yield proxy


@contextmanager
def digesting_server(row: Row, family: int) -> Iterator[int]:
    """Over MPTCP, it answers with M or T for how it was reached, and the SHA-256 of all that it was sent; its port."""

    def serve(connection: socket.socket) -> None:
        how = b"M" if is_multipath(connection) else b"T"
        connection.sendall(how + hashlib.sha256(receive_all(connection)).digest())

    with socket_in(row.server, family, IPPROTO_MPTCP) as listener:
        listener.bind((SERVER[socket.AddressFamily(family)], 0))
        listener.listen()
        with served_on(listener, serve):
            yield listener.getsockname()[1]


def send_from(row: Row, family: int, address: tuple[str, int], data: bytes) -> bytes:
    """What the client gets back for `data`."""
    with socket_in(row.client, family) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(address)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return receive_all(sock)


@EITHER_FAMILY
def test_a_redirected_connection_goes_on_over_multipath(row: Row, family: socket.AddressFamily) -> None:
    data = os.urandom(OCTETS)
    with proxy_in(row.gateway, "socksify", *LISTEN, *ALLOW) as proxy, digesting_server(row, family) as port:
        answer = send_from(row, family, (SERVER[family], port), data)
        line = proxy.connection(protocol="redirect")
    assert answer == b"M" + hashlib.sha256(data).digest()
    assert (line["mptcp"], line["up"], line["end"]) == (True, OCTETS, "closed")
    assert line["destination"].endswith(f":{port}")


@EITHER_FAMILY
def test_a_redirected_connection_goes_through_a_socks6_proxy(row: Row, family: socket.AddressFamily) -> None:
    data = os.urandom(OCTETS)
    with ExitStack() as held:
        via = held.enter_context(proxy_in(row.gateway, "serve", "--listen", "127.0.0.1:0", "--allow", "127.0.0.1"))
        socksify = ("socksify", *LISTEN, *ALLOW, "--via", via.addresses[0])
        proxy = held.enter_context(proxy_in(row.gateway, *socksify))
        port = held.enter_context(digesting_server(row, family))
        assert send_from(row, family, (SERVER[family], port), data) == b"M" + hashlib.sha256(data).digest()
        assert proxy.connection(protocol="redirect")["mptcp"]
        assert via.connection(protocol="socks6")["destination"].endswith(f":{port}")


@EITHER_FAMILY
def test_a_redirected_connection_to_a_closed_port_is_reset(row: Row, family: socket.AddressFamily) -> None:
    with proxy_in(row.gateway, "socksify", *LISTEN, *ALLOW) as proxy:
        with pytest.raises(ConnectionResetError):
            send_from(row, family, (SERVER[family], 1), b"")
        proxy.connection(end="refused: connection refused")


@EITHER_FAMILY
def test_a_connection_to_the_socksifier_itself_is_no_loop(row: Row, family: socket.AddressFamily) -> None:
    with proxy_in(row.gateway, "socksify", *LISTEN, *ALLOW) as proxy:
        with pytest.raises(ConnectionResetError):
            send_from(row, family, (GATEWAY[family], 6667), b"")
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
        socket_in(row.client, socket.AF_INET) as sock,
    ):
        sock.settimeout(PATIENCE)
        sock.connect((GATEWAY[socket.AF_INET], 6666))
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
    data = b"to whom it may concern"
    with (
        proxy_in(row.gateway, "serve", "--listen", "0.0.0.0:6666", *ALLOW),
        digesting_server(row, family) as port,
        socket_in(row.client, socket.AF_INET) as sock,
    ):
        sock.settimeout(PATIENCE)
        sock.connect((GATEWAY[socket.AF_INET], 6666))
        assert Tunnel(sock, socks6_request("several", port)).code is ReplyCode.SUCCEEDED
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert receive_all(sock) == b"M" + hashlib.sha256(data).digest()
