"""The proxy's UDP ports: floods, workers that come and go, and where its datagrams come from."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from codec.address import Address
from codec.socks6.udp import AssociationConfirmation, Datagram
from tests.proxy.associations import Socks6Association, datagram_socket, port_of, receive_from, socks6_association
from tests.proxy.peers import listening_socket, receive_all
from tests.proxy.running import LOOPBACK, ONE_WORKER, RunningProxy

TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "udp"])
TWO_WORKERS = ("serve", "--listen", "127.0.0.1:0", "--workers", "2", *LOOPBACK)


@pytest.fixture
def remote() -> Iterator[socket.socket]:
    with datagram_socket() as sock:
        yield sock


def confirmed(association: Socks6Association) -> bool:
    return association.expect(AssociationConfirmation).association_id == association.id


@TRANSPORTS
def test_a_flood_is_carried_as_far_as_it_goes_and_harms_nobody(
    proxy: RunningProxy, remote: socket.socket, transport: str
) -> None:
    with socks6_association(proxy.address) as association, socks6_association(proxy.address) as other:
        message = association.message("127.0.0.1", port_of(remote), bytes(1000))
        for _ in range(10000):
            if transport == "tcp":
                association.control.sendall(message)
            else:
                association.socket.sendto(message, proxy.address)
        assert confirmed(association)
        with datagram_socket() as elsewhere:
            (other.send_over_tcp if transport == "tcp" else other.send_over_udp)(
                "127.0.0.1", port_of(elsewhere), b"hello"
            )
            assert receive_from(elsewhere)[0] == b"hello"


def test_a_flood_of_made_up_ids_harms_nobody() -> None:
    with (
        RunningProxy(*TWO_WORKERS) as proxy,
        socks6_association(proxy.address) as association,
        datagram_socket() as remote,
    ):
        packet = bytearray(association.message("127.0.0.1", port_of(remote), bytes(1000)))
        for number in range(20000):
            packet[4] = number & 1
            packet[5:12] = number.to_bytes(7, "big")
            association.socket.sendto(packet, proxy.address)
        association.send_over_tcp("127.0.0.1", port_of(remote), b"hello")
        assert confirmed(association)
        assert receive_from(remote)[0] == b"hello"


def test_a_worker_that_replaces_a_dead_one_has_no_associations_but_serves_new_ones() -> None:
    with RunningProxy(*ONE_WORKER) as proxy, datagram_socket() as remote:
        with socks6_association(proxy.address) as association:
            os.kill(proxy.workers[0], signal.SIGKILL)
            assert receive_all(association.control) == b""
        proxy.wait_for(lambda line: line["event"] == "worker started")
        with socks6_association(proxy.address) as association:
            association.send_over_udp("127.0.0.1", port_of(remote), b"hello")
            assert confirmed(association)
            assert receive_from(remote)[0] == b"hello"


def test_associations_go_on_after_a_reload(remote: socket.socket) -> None:
    with RunningProxy(*TWO_WORKERS) as proxy, socks6_association(proxy.address) as association:
        association.send_over_udp("127.0.0.1", port_of(remote), b"1")
        assert confirmed(association)
        proxy.signal(signal.SIGHUP)
        proxy.wait_for(lambda line: line["event"] == "reloaded")
        for _ in range(5):
            association.send_over_udp("127.0.0.1", port_of(remote), b"2")
        assert [receive_from(remote)[0] for _ in range(6)] == [b"1", *[b"2"] * 5]
        remote.sendto(b"back", ("127.0.0.1", association.reply.port))
        assert association.receive_over_udp() == Datagram(
            association.id, Address.of("127.0.0.1"), port_of(remote), b"back"
        )


def test_a_port_that_another_has_for_udp_is_served_over_tcp_all_the_same(remote: socket.socket) -> None:
    with listening_socket() as free, datagram_socket(port=port_of(free)) as taken:
        free.close()
        listen = ("serve", "--listen", f"127.0.0.1:{port_of(taken)}", "--workers", "1", *LOOPBACK)
        with RunningProxy(*listen) as proxy:
            assert proxy.wait_for(lambda line: line["event"] == "no udp")["why"] == "Address already in use"
            with socks6_association(proxy.address) as association:
                association.send_over_tcp("127.0.0.1", port_of(remote), b"hello")
                assert receive_from(remote)[0] == b"hello"


def test_a_proxy_on_all_addresses_answers_from_the_one_it_was_asked_at(remote: socket.socket) -> None:
    with RunningProxy("serve", "--listen", "0.0.0.0:0", "--listen", "[::]:0", "--workers", "2", *LOOPBACK) as proxy:
        for listener, host, asked_at in ((0, "127.0.0.1", "127.0.0.6"), (1, "::1", "::1")):
            port = int(proxy.addresses[listener].rpartition(":")[2])
            with socks6_association((host, port)) as association:
                association.proxy = asked_at, port
                for _ in range(2):
                    association.send_over_udp("127.0.0.1", port_of(remote), b"1")
                    receive_from(remote)
                assert confirmed(association)
                remote.sendto(b"2", ("127.0.0.1", association.reply.port))
                data, source = receive_from(association.socket)
                assert source == (asked_at, port)
                assert data.endswith(b"2")
