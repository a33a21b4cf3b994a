"""Sockets for outward connections: MPTCP where there is any, and the truth about it."""

from __future__ import annotations

import errno
import socket

import pytest

from proxy.mptcp import IPPROTO_MPTCP, OutwardSockets, is_multipath
from tests.proxy.peers import connected_socket, echo, serving
from tests.proxy.uplinks import two_uplinks


def protocol_of(sockets: OutwardSockets, *, multipath: bool) -> int:
    sock = sockets.open(socket.AF_INET, multipath=multipath)
    sock.close()
    return sock.proto


def test_multipath_is_used_when_it_is_wanted_by_both_the_operator_and_the_client() -> None:
    wants, declines = OutwardSockets(multipath=True), OutwardSockets(multipath=False)
    assert protocol_of(wants, multipath=True) == IPPROTO_MPTCP
    assert [protocol_of(wants, multipath=False), protocol_of(declines, multipath=True)] == [0, 0]


@pytest.mark.netns
def test_what_is_switched_off_may_be_switched_on_again() -> None:
    sockets = OutwardSockets(multipath=True)
    with two_uplinks() as uplinks:
        for enabled, protocol in ((0, 0), (1, IPPROTO_MPTCP)):
            uplinks.set(uplinks.host, f"net.mptcp.enabled={enabled}")
            assert uplinks.in_host(lambda: protocol_of(sockets, multipath=True)) == protocol


def test_errors_that_are_not_about_multipath_are_not_hidden() -> None:
    with pytest.raises(OSError, match=f"Errno {errno.EAFNOSUPPORT}"):
        OutwardSockets(multipath=True).open(0xFFFF, multipath=True)


@pytest.mark.parametrize(("client", "server"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_connection_is_multipath_when_both_ends_are(client: bool, server: bool) -> None:
    with (
        serving(echo, multipath=server) as port,
        connected_socket(("127.0.0.1", port), multipath=client) as sock,
    ):
        assert is_multipath(sock) == (client and server)
