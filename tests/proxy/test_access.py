"""Closed unless opened: who is served, and where the proxy does not go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codec.reply import ReplyCode
from tests.proxy.associations import LOOPBACK_NAME
from tests.proxy.peers import (
    EITHER_VERSION,
    MakeRequest,
    connected_socket,
    echo,
    serving,
    socks6_request,
    tunnel,
)
from tests.proxy.running import RunningProxy


@pytest.fixture(scope="module")
def closed_proxy() -> Iterator[RunningProxy]:
    """A proxy as it is without any opening: for clients at 127.0.0.1, and no loopback destinations."""
    listen = ("--listen", "127.0.0.1:0", "--listen", "[::1]:0")
    with RunningProxy("serve", *listen, "--workers", "1", "--allow", "127.0.0.1/32") as running:
        yield running


def test_a_client_from_elsewhere_is_closed_unanswered(closed_proxy: RunningProxy) -> None:
    host, _, port = closed_proxy.addresses[1].rpartition(":")
    with connected_socket((host.strip("[]"), int(port))) as sock:
        local = sock.getsockname()
        try:
            sock.sendall(b"\x05\x01\x00")
            answer = sock.recv(1)
        except (ConnectionResetError, BrokenPipeError):
            answer = b""
    assert answer == b""
    assert closed_proxy.connection(client=f"[::1]:{local[1]}")["end"] == "client not allowed"


@EITHER_VERSION
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255",
        "::1", "::", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "fd00:ec2::254",
        "localhost", "2130706433", "127.1", "0",
    ],
)  # fmt: skip
def test_the_proxys_own_addresses_are_refused_however_they_are_spelt(
    closed_proxy: RunningProxy, request_: MakeRequest, host: str
) -> None:
    with serving(echo) as port, tunnel(closed_proxy.address, request_(host, port)) as t:
        assert t.code is ReplyCode.NOT_ALLOWED


@pytest.mark.parametrize("host", ["127.0.0.1", LOOPBACK_NAME])
def test_the_proxy_is_not_its_own_client(proxy: RunningProxy, host: str) -> None:
    with tunnel(proxy.address, socks6_request(host, proxy.address[1])) as t:
        assert t.code is ReplyCode.NOT_ALLOWED


def test_opening_loopback_opens_nothing_else(proxy: RunningProxy) -> None:
    with tunnel(proxy.address, socks6_request("169.254.169.254", 80)) as t:
        assert t.code is ReplyCode.NOT_ALLOWED
