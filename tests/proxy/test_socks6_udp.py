"""UDP ASSOCIATE of SOCKSv6: over TCP and over UDP, with two workers, so that datagrams also come to the wrong one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from codec.address import Address
from codec.client import Socks6Client
from codec.reply import ReplyCode
from codec.socks6 import udp
from codec.socks6.udp import AssociationConfirmation, Datagram
from tests.proxy.associations import (
    LOOPBACK_NAME,
    Socks6Association,
    datagram_socket,
    nothing_has_come,
    port_of,
    receive_from,
    socks6_association,
    udp_request,
)
from tests.proxy.peers import connected_socket, receive_all
from tests.proxy.running import ONE_WORKER, RunningProxy

TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "udp"])
ANY_OF_BOTH_WORKERS = pytest.mark.parametrize("attempt", range(6))
"""Which worker a connection comes to, and which a datagram, is the kernel's choice: six times all four pairs are likely
to be among them."""


@pytest.fixture
def remote() -> Iterator[socket.socket]:
    with datagram_socket() as sock:
        yield sock


def send(association: Socks6Association, transport: str, host: str, port: int, data: bytes = b"") -> None:
    (association.send_over_tcp if transport == "tcp" else association.send_over_udp)(host, port, data)


def receive(association: Socks6Association, transport: str) -> Datagram:
    received = association.event() if transport == "tcp" else association.receive_over_udp()
    assert isinstance(received, Datagram)
    assert received.association_id == association.id
    return received


def confirmed(association: Socks6Association) -> bool:
    return association.expect(AssociationConfirmation).association_id == association.id


@TRANSPORTS
@ANY_OF_BOTH_WORKERS
@pytest.mark.parametrize("listener", [0, 1], ids=["ipv4", "ipv6"])
def test_datagrams_go_there_and_back(proxy: RunningProxy, transport: str, attempt: int, listener: int) -> None:
    host, _, port = proxy.addresses[listener].rpartition(":")
    with ExitStack() as held:
        remotes = {name: held.enter_context(datagram_socket(name)) for name in ("127.0.0.1", "::1")}
        remotes[LOOPBACK_NAME] = remotes["127.0.0.1"]
        association = held.enter_context(socks6_association((host.strip("[]"), int(port))))
        first = True
        for name, remote in remotes.items():
            for data in (b"hello", b"", b"x" * 20000):
                send(association, transport, name, port_of(remote), data)
                received, source = receive_from(remote)
                assert received == data
                assert not first or confirmed(association)
                first = False
                remote.sendto(data * 2, source)
                back = receive(association, transport)
                assert (back.address.host, back.port) == remote.getsockname()[:2]
                assert back.data == data * 2


def test_the_log_counts_the_octets_of_datagrams(proxy: RunningProxy, remote: socket.socket) -> None:
    with socks6_association(proxy.address) as association:
        association.send_over_tcp("127.0.0.1", port_of(remote), b"123")
        remote.sendto(b"12345", receive_from(remote)[1])
        assert confirmed(association)
        assert receive(association, "tcp").data == b"12345"
        client = association.control.getsockname()
    line = proxy.connection(client=f"127.0.0.1:{client[1]}")
    assert (line["protocol"], line["up"], line["down"], line["end"]) == ("socks6", 3, 5, "closed")


def test_the_reply_and_the_init_come_in_one_piece(proxy: RunningProxy) -> None:
    with connected_socket(proxy.address) as sock:
        sock.sendall(Socks6Client(udp_request()).open())
        assert len(sock.recv(4096)) == 4 + 12 + 12


def test_the_id_names_the_worker_and_is_random_otherwise(proxy: RunningProxy) -> None:
    with ExitStack() as held:
        ids = {held.enter_context(socks6_association(proxy.address)).id for _ in range(16)}
    assert len({name[1:] for name in ids}) == 16
    assert {name[0] for name in ids} <= {0, 1}


@TRANSPORTS
def test_a_zero_destination_opens_without_sending(proxy: RunningProxy, remote: socket.socket, transport: str) -> None:
    with socks6_association(proxy.address, udp_request("127.0.0.1")) as association:
        send(association, transport, "0.0.0.0", 0)
        assert confirmed(association)
        remote.sendto(b"hello", association.bound)
        assert receive(association, transport).data == b"hello"


def test_nothing_goes_to_the_client_before_its_first_datagram(proxy: RunningProxy, remote: socket.socket) -> None:
    with socks6_association(proxy.address, udp_request("127.0.0.1")) as association:
        remote.sendto(b"too early", association.bound)
        association.control.shutdown(socket.SHUT_WR)
        assert receive_all(association.control) == b""


def test_the_first_datagram_over_tcp_decides(proxy: RunningProxy, remote: socket.socket) -> None:
    with socks6_association(proxy.address) as association:
        association.send_over_tcp("127.0.0.1", port_of(remote), b"1")
        assert confirmed(association)
        for _ in range(4):
            association.send_over_udp("127.0.0.1", port_of(remote), b"over UDP")
        association.send_over_tcp("127.0.0.1", port_of(remote), b"2")
        assert [receive_from(remote)[0] for _ in range(2)] == [b"1", b"2"]
        assert nothing_has_come(remote)


@ANY_OF_BOTH_WORKERS
def test_the_first_datagram_over_udp_decides(proxy: RunningProxy, remote: socket.socket, attempt: int) -> None:
    with socks6_association(proxy.address) as association, datagram_socket() as other:
        association.send_over_udp("127.0.0.1", port_of(remote), b"1")
        assert confirmed(association)
        association.send_over_tcp("127.0.0.1", port_of(remote), b"over TCP")
        association.send_over_udp("127.0.0.1", port_of(remote), b"from another port", sock=other)
        for number in range(3):
            association.send_over_udp("127.0.0.1", port_of(remote), bytes((number,)))
        assert [receive_from(remote)[0] for _ in range(4)] == [b"1", b"\0", b"\1", b"\2"]
        remote.sendto(b"back", ("127.0.0.1", association.reply.port))
        assert receive(association, "udp").data == b"back"
        assert nothing_has_come(other)


@ANY_OF_BOTH_WORKERS
def test_another_host_cannot_open_the_association(proxy: RunningProxy, remote: socket.socket, attempt: int) -> None:
    """With the right ID: whoever can forge a source address could have datagrams sent there."""
    with socks6_association(proxy.address) as association, datagram_socket("127.0.0.2") as victim:
        association.send_over_udp("127.0.0.1", port_of(remote), b"forged", sock=victim)
        association.send_over_tcp("127.0.0.1", port_of(remote), b"good")
        assert confirmed(association)
        assert receive_from(remote)[0] == b"good"
        remote.sendto(b"back", ("127.0.0.1", association.reply.port))
        assert receive(association, "tcp").data == b"back"
        assert nothing_has_come(victim)


def test_what_follows_the_message_is_ignored(proxy: RunningProxy, remote: socket.socket) -> None:
    with socks6_association(proxy.address) as association:
        association.send_over_udp("127.0.0.1", port_of(remote), b"1", behind=b"padding")
        assert confirmed(association)
        association.send_over_udp("127.0.0.1", port_of(remote), b"2", behind=b"padding")
        assert [receive_from(remote)[0] for _ in range(2)] == [b"1", b"2"]


def bad_packets(association: Socks6Association, port: int) -> Iterator[bytes]:
    """What is to be ignored over UDP."""
    good = association.message("127.0.0.1", port, b"bad")
    yield b""
    yield good[:11]
    yield good[:12]
    yield good[:-1]  # the length is beyond the packet
    yield b"\x05" + good[1:]
    yield good[:1] + b"\x04" + good[2:]
    yield good[:2] + b"\x00\x0c" + good[4:]
    yield good[:2] + b"\x00\x00" + good[4:]
    yield good[:2] + b"\x00\x12" + good[4:]  # ends within its address
    yield good[:12] + b"\x02" + good[13:]
    yield good[:12] + b"\x03\x00\x00\x35\xff" + good[17:]
    yield good[:4] + bytes((good[4],)) + bytes(7) + good[12:]
    yield good[:4] + bytes((1 - good[4],)) + bytes(7) + good[12:]
    yield good[:4] + b"\xff" * 8 + good[12:]


@ANY_OF_BOTH_WORKERS
def test_malformed_packets_are_ignored(proxy: RunningProxy, remote: socket.socket, attempt: int) -> None:
    with socks6_association(proxy.address) as association:
        for opened in (False, True):
            for packet in bad_packets(association, port_of(remote)):
                association.socket.sendto(packet, proxy.address)
            association.send_over_udp("127.0.0.1", port_of(remote), b"good")
            assert opened or confirmed(association)
            assert receive_from(remote)[0] == b"good"


@pytest.mark.parametrize(
    "octets",
    ["05", "0601000c", "0603000f", "0602000c", "0604000c", "06ff000c"],
    ids=["version", "init", "short", "confirmation", "error", "type"],
)
def test_what_breaks_the_stream_ends_it(proxy: RunningProxy, octets: str) -> None:
    with socks6_association(proxy.address) as association:
        association.control.sendall(bytes.fromhex(octets) + bytes(16))
        assert receive_all(association.control) == b""
        client = association.control.getsockname()
    end = proxy.connection(client=f"127.0.0.1:{client[1]}")["end"]
    assert end.startswith("malformed: a UDP message of version")


def test_messages_over_tcp_come_in_any_pieces(proxy: RunningProxy, remote: socket.socket) -> None:
    with socks6_association(proxy.address) as association:
        association.control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        messages = b"".join(association.message("127.0.0.1", port_of(remote), bytes((n,)) * n) for n in range(20))
        for start in range(0, len(messages), 7):
            association.control.sendall(messages[start : start + 7])
        association.control.sendall(messages)
        received = [receive_from(remote)[0] for _ in range(40)]
        assert received == [bytes((n,)) * n for n in range(20)] * 2


def test_a_message_behind_the_request_is_not_lost(proxy: RunningProxy, remote: socket.socket) -> None:
    """No client can know the ID then: what it sends is for another association, and dropped; what follows is not."""

    class Eager(Socks6Client):
        def open(self) -> bytes:
            early = udp.encode_udp(Datagram(bytes(8), Address.of("127.0.0.1"), port_of(remote), b"early"))
            return super().open() + early + early[:9]

    with connected_socket(proxy.address) as control, datagram_socket() as sock:
        association = Socks6Association(control, sock, proxy.address, Eager(udp_request()))
        early = udp.encode_udp(Datagram(bytes(8), Address.of("127.0.0.1"), port_of(remote), b"early"))
        control.sendall(early[9:])
        association.send_over_tcp("127.0.0.1", port_of(remote), b"good")
        assert receive_from(remote)[0] == b"good"


def test_one_client_socket_serves_several_associations(proxy: RunningProxy, remote: socket.socket) -> None:
    """The kernel brings what comes from it to one of them, in one of the workers."""
    with ExitStack() as held:
        shared = held.enter_context(datagram_socket())
        several = [held.enter_context(socks6_association(proxy.address)) for _ in range(6)]
        for _ in range(3):
            for number, association in enumerate(several):
                association.send_over_udp("127.0.0.1", port_of(remote), bytes((number,)), sock=shared)
                data, source = receive_from(remote)
                assert data == bytes((number,))
                remote.sendto(data, source)
                decoded = udp.decode_udp(shared.recv(1 << 16))
                assert isinstance(decoded, tuple)
                assert decoded[0].association_id == association.id


def test_who_does_not_send_a_first_datagram_is_closed() -> None:
    with RunningProxy(*ONE_WORKER, "--set", "timeouts.bind=0.4") as proxy:
        with socks6_association(proxy.address) as association:
            assert receive_all(association.control) == b""
        proxy.connection(end="idle")


@pytest.mark.parametrize(
    ("host", "port", "code"),
    [
        ("localhost", 0, ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED),
        ("127.0.0.1", 53, ReplyCode.NOT_ALLOWED),
        ("192.0.2.77", 0, ReplyCode.GENERAL_FAILURE),
    ],
    ids=["name", "port", "address"],
)
def test_what_cannot_be_bound_is_told(proxy: RunningProxy, host: str, port: int, code: ReplyCode) -> None:
    with socks6_association(proxy.address, udp_request(host, port)) as association:
        assert association.reply.code is code
        assert receive_all(association.control) == b""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.3", "::1"])
def test_the_wanted_address_and_port_are_bound(proxy: RunningProxy, host: str) -> None:
    with datagram_socket(host) as free:
        wanted = port_of(free)
    with socks6_association(proxy.address, udp_request(host, wanted)) as association, datagram_socket(host) as remote:
        assert association.bound == (host, wanted)
        association.send_over_tcp(host, port_of(remote), b"1")
        assert receive_from(remote)[1] == (host, wanted)


def test_an_address_of_one_family_is_for_that_family(proxy: RunningProxy, remote: socket.socket) -> None:
    with datagram_socket("::1") as other, socks6_association(proxy.address, udp_request("127.0.0.1")) as association:
        association.send_over_tcp("::1", port_of(other), b"no")
        association.send_over_tcp("127.0.0.1", port_of(remote), b"yes")
        assert receive_from(remote)[0] == b"yes"
        assert nothing_has_come(other)


def test_both_families_have_the_same_port(proxy: RunningProxy, remote: socket.socket) -> None:
    with datagram_socket("::1") as other, socks6_association(proxy.address) as association:
        association.send_over_tcp("127.0.0.1", port_of(remote), b"1")
        association.send_over_tcp("::1", port_of(other), b"2")
        assert receive_from(remote)[1][1] == receive_from(other)[1][1] == association.reply.port


def test_a_slow_reader_loses_datagrams_but_not_their_boundaries(proxy: RunningProxy, remote: socket.socket) -> None:
    with socks6_association(proxy.address) as association:
        association.send_over_tcp("127.0.0.1", port_of(remote), b"1")
        source = receive_from(remote)[1]
        assert confirmed(association)
        for number in range(3000):
            remote.sendto(number.to_bytes(2, "big") * 5000, source)
        seen: list[bytes] = []
        remote.sendto(b"last", source)
        while not seen or seen[-1] != b"last":
            received = receive(association, "tcp").data
            seen.append(received[:2] if received != b"last" else received)
            if received != b"last":
                assert received == received[:2] * 5000
            remote.sendto(b"last", source)
        assert seen[:-1] == sorted(seen[:-1])
        assert 10 < len(seen) < 3000
