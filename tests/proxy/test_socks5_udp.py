"""UDP ASSOCIATE of SOCKS 5: who is heard, where it may send, and what comes back."""

from __future__ import annotations

import socket

import pytest

from codec import socks5
from codec.address import Address
from codec.client import Socks6Client
from codec.command import Command
from codec.reply import ReplyCode
from codec.socks6.dialect import DRAFT_04
from codec.socks6.draft04 import messages as messages04
from tests.proxy.associations import (
    LOOPBACK_NAME,
    Socks5Association,
    datagram_socket,
    nothing_has_come,
    receive_from,
    socks5_association,
)
from tests.proxy.peers import connected_socket, receive_all, socks5_request, tunnel
from tests.proxy.running import LOOPBACK, NO_SUCH_NAME, ONE_WORKER, RunningProxy

LISTENERS = pytest.mark.parametrize("listener", [0, 1], ids=["ipv4", "ipv6"])


def address_of(proxy: RunningProxy, listener: int) -> tuple[str, int]:
    host, _, port = proxy.addresses[listener].rpartition(":")
    return host.strip("[]"), int(port)


@LISTENERS
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", LOOPBACK_NAME])
def test_datagrams_go_there_and_back_by_address_and_by_name(proxy: RunningProxy, listener: int, host: str) -> None:
    with datagram_socket("::1" if host == "::1" else "127.0.0.1") as remote:
        port = remote.getsockname()[1]
        with socks5_association(address_of(proxy, listener)) as association:
            assert association.relay[0] == address_of(proxy, listener)[0]
            for data in (b"hello", b"", b"x" * 20000):
                association.send(host, port, data)
                received, source = receive_from(remote)
                assert received == data
                remote.sendto(data * 2, source)
                back = association.receive()
                assert (back.address.host, back.port, back.data) == (remote.getsockname()[0], port, data * 2)
            client = association.control.getsockname()
    line = proxy.wait_for(lambda line: str(line.get("client", "")).endswith(f":{client[1]}") and "end" in line)
    assert (line["up"], line["down"], line["end"]) == (20005, 40010, "closed")


def test_the_association_ends_with_its_connection(proxy: RunningProxy) -> None:
    with datagram_socket() as remote, socks5_association(proxy.address) as association:
        association.send("127.0.0.1", remote.getsockname()[1], b"1")
        source = receive_from(remote)[1]
        association.control.sendall(b"what is said here is for nobody")
        association.control.shutdown(socket.SHUT_WR)
        assert receive_all(association.control) == b""
        proxy.connection(client=f"127.0.0.1:{association.control.getsockname()[1]}", end="closed")
        # Both ports are free again, so others can have them.
        for host, port in (source, association.relay):
            datagram_socket(host, port).close()


def test_an_idle_association_ends() -> None:
    with RunningProxy(*ONE_WORKER, "--set", "timeouts.idle=0.4") as proxy:
        with socks5_association(proxy.address) as association:
            assert receive_all(association.control) == b""
        proxy.connection(end="idle")


def only_the_last_arrives(association: Socks5Association, remote: socket.socket) -> None:
    """What is dropped never comes: so the first that comes is the one that may."""
    association.send("127.0.0.1", remote.getsockname()[1], b"good")
    assert receive_from(remote)[0] == b"good"


def test_fragments_are_dropped(proxy: RunningProxy) -> None:
    with datagram_socket() as remote, socks5_association(proxy.address) as association:
        association.send("127.0.0.1", remote.getsockname()[1], b"piece", fragment=1)
        association.send("127.0.0.1", remote.getsockname()[1], b"last piece", fragment=0x82)
        only_the_last_arrives(association, remote)


@pytest.mark.parametrize(
    "packet",
    [
        "",
        "00",
        "000000",
        "00000001",
        "000000017f0000",
        "0000000200000000",
        "00000003ff61",
        "0000000300" + "0035",
        "ff" * 9,
    ],
)
def test_malformed_datagrams_are_dropped(proxy: RunningProxy, packet: str) -> None:
    with datagram_socket() as remote, socks5_association(proxy.address) as association:
        association.socket.sendto(bytes.fromhex(packet), association.relay)
        only_the_last_arrives(association, remote)


def test_only_the_host_of_the_connection_is_heard(proxy: RunningProxy) -> None:
    with (
        datagram_socket() as remote,
        datagram_socket("127.0.0.2") as stranger,
        socks5_association(proxy.address) as association,
    ):
        association.send("127.0.0.1", remote.getsockname()[1], b"forged", sock=stranger)
        only_the_last_arrives(association, remote)
        association.send("127.0.0.1", remote.getsockname()[1], b"forged", sock=stranger)
        only_the_last_arrives(association, remote)


def test_the_first_datagram_fixes_the_port(proxy: RunningProxy) -> None:
    with datagram_socket() as remote, datagram_socket() as other, socks5_association(proxy.address) as association:
        only_the_last_arrives(association, remote)
        association.send("127.0.0.1", remote.getsockname()[1], b"from elsewhere", sock=other)
        only_the_last_arrives(association, remote)


def test_an_announced_port_is_the_only_one_that_is_heard(proxy: RunningProxy) -> None:
    with (
        datagram_socket() as announced,
        datagram_socket() as remote,
        socks5_association(proxy.address, announced.getsockname()[1]) as association,
    ):
        association.send("127.0.0.1", remote.getsockname()[1], b"from elsewhere")
        association.send("127.0.0.1", remote.getsockname()[1], b"good", sock=announced)
        data, source = receive_from(remote)
        assert data == b"good"
        remote.sendto(b"answer", source)
        assert announced.recv(100).endswith(b"answer")


def test_whoever_may_be_sent_to_may_send_unasked(proxy: RunningProxy) -> None:
    with datagram_socket() as remote, datagram_socket() as other, socks5_association(proxy.address) as association:
        association.send("127.0.0.1", remote.getsockname()[1], b"1")
        other.sendto(b"hello", receive_from(remote)[1])
        back = association.receive()
        assert (back.port, back.data) == (other.getsockname()[1], b"hello")


def rules(*, ports: list[int], commands: str = "UDP_ASSOCIATE") -> tuple[str, ...]:
    return "--set", f'rules=[{{verdict="allow",commands=["{commands}"],ports={ports}}}]'


def test_the_rules_are_asked_for_every_destination() -> None:
    with datagram_socket() as remote, datagram_socket() as forbidden:
        allowed = remote.getsockname()[1]
        with (
            RunningProxy(*ONE_WORKER, *rules(ports=[allowed])) as proxy,
            socks5_association(proxy.address) as association,
        ):
            for host, port in (("127.0.0.1", forbidden.getsockname()[1]), (LOOPBACK_NAME, forbidden.getsockname()[1])):
                association.send(host, port, b"no")
            for host in ("127.0.0.1", LOOPBACK_NAME):
                association.send(host, allowed, b"yes")
                data, source = receive_from(remote)
                assert data == b"yes"
            forbidden.sendto(b"no", source)
            remote.sendto(b"yes", source)
            assert association.receive().data == b"yes"
            assert nothing_has_come(forbidden)
            assert nothing_has_come(association.socket)


def test_the_rules_are_asked_before_there_is_an_association() -> None:
    request = socks5_request("0.0.0.0", 0, command=Command.UDP_ASSOCIATE)
    with (
        RunningProxy(*ONE_WORKER, *rules(ports=[53], commands="CONNECT")) as proxy,
        tunnel(proxy.address, request) as t,
    ):
        assert t.code is ReplyCode.NOT_ALLOWED


def test_an_address_that_is_forbidden_is_not_sent_to() -> None:
    """The proxy's loopback, with nothing said about it; the remote host asks by its own datagram instead."""
    closed = ("serve", "--listen", "127.0.0.1:0", "--workers", "1", "--allow", "127.0.0.0/8")
    with (
        datagram_socket() as remote,
        RunningProxy(*closed) as proxy,
        socks5_association(proxy.address) as association,
    ):
        for host in ("127.0.0.1", "localhost", "::ffff:127.0.0.1", "127.1"):
            association.send(host, remote.getsockname()[1], b"no")
        association.control.shutdown(socket.SHUT_WR)
        assert receive_all(association.control) == b""
        assert nothing_has_come(remote)
        assert proxy.connection(end="closed")["up"] == 0


def test_a_name_that_does_not_exist_is_dropped(proxy: RunningProxy) -> None:
    with datagram_socket() as remote, socks5_association(proxy.address) as association:
        for _ in range(3):
            association.send(NO_SUCH_NAME[:63] + ".invalid", 53, b"lost")
        only_the_last_arrives(association, remote)


def test_datagrams_are_held_while_a_name_is_looked_up(proxy: RunningProxy) -> None:
    with datagram_socket() as remote, socks5_association(proxy.address) as association:
        for number in range(10):
            association.send(LOOPBACK_NAME, remote.getsockname()[1], bytes((number,)))
        assert [receive_from(remote)[0] for _ in range(10)] == [bytes((number,)) for number in range(10)]


def test_many_destinations_are_served(proxy: RunningProxy) -> None:
    """More than are remembered; replies come back from the first, too."""
    with datagram_socket() as remote, socks5_association(proxy.address) as association:
        port = remote.getsockname()[1]
        for number in range(600):
            association.send(f"127.1.{number // 250}.{number % 250 + 1}", 9, b"nobody")
            if not number % 50:
                only_the_last_arrives(association, remote)
        association.send("127.0.0.1", port, b"1")
        remote.sendto(b"2", receive_from(remote)[1])
        assert association.receive().data == b"2"


def test_a_flood_is_carried_as_far_as_it_goes_and_harms_nobody(proxy: RunningProxy) -> None:
    with datagram_socket() as remote, socks5_association(proxy.address) as association:
        remote.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        port = remote.getsockname()[1]
        only_the_last_arrives(association, remote)
        packet = socks5.encode_datagram(socks5.Datagram(Address.of("127.0.0.1"), port, bytes(1000)))
        for _ in range(20000):
            association.socket.sendto(packet, association.relay)
        with tunnel(proxy.address, socks5_request("127.0.0.1", 1)) as t:
            assert t.code is ReplyCode.CONNECTION_REFUSED
        association.control.shutdown(socket.SHUT_WR)
        assert receive_all(association.control) == b""


def test_a_datagram_that_cannot_be_sent_is_dropped(proxy: RunningProxy) -> None:
    with datagram_socket() as remote, socks5_association(proxy.address) as association:
        association.send("127.0.0.1", 0, b"to no port")
        association.send("2001:db8::1", 53, b"there may be no way there")
        association.send("255.255.255.255", 53, b"forbidden")
        only_the_last_arrives(association, remote)
        # With a header in front it is more than UDP can carry.
        association.send("127.0.0.1", remote.getsockname()[1], b"1")
        source = receive_from(remote)[1]
        remote.sendto(bytes(65507), source)
        remote.sendto(b"2", source)
        assert association.receive().data == b"2"


def test_a_client_whose_port_is_closed_for_a_while_is_served_again(proxy: RunningProxy) -> None:
    with datagram_socket() as remote, socks5_association(proxy.address) as association:
        association.send("127.0.0.1", remote.getsockname()[1], b"1")
        source = receive_from(remote)[1]
        port = association.socket.getsockname()[1]
        association.socket.close()
        for _ in range(5):
            remote.sendto(b"to a closed port", source)
        with datagram_socket(port=port) as association.socket:
            only_the_last_arrives(association, remote)
            remote.sendto(b"3", source)
            while association.receive().data != b"3":
                pass


def test_draft_04_has_the_associations_of_socks5() -> None:
    listen = '[{address="127.0.0.1:0",draft="04"}]'
    with RunningProxy("serve", "--workers", "1", *LOOPBACK, "--set", f"listen={listen}") as proxy:
        request = messages04.Request(Command.UDP_ASSOCIATE, Address.of("0.0.0.0"), 0)
        with (
            tunnel(proxy.address, Socks6Client(request, spoken=DRAFT_04)) as control,
            datagram_socket() as remote,
            datagram_socket() as sock,
        ):
            association = Socks5Association(control, sock)
            association.send("127.0.0.1", remote.getsockname()[1], b"1")
            remote.sendto(b"2", receive_from(remote)[1])
            assert association.receive().data == b"2"


def test_socks4_has_no_associations(proxy: RunningProxy) -> None:
    with connected_socket(proxy.address) as sock:
        sock.sendall(bytes.fromhex("0403 0035 7f000001 00"))
        assert receive_all(sock)[1] == 91
