"""UDP associations across routers: errors that routers and hosts really send, and clients on other hosts."""

from __future__ import annotations

import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from codec.address import Address
from codec.client import Socks6Client
from codec.socks6.option_list import Options
from codec.socks6.stack import Leg, NoFragmentation, Ttl, UdpError
from codec.socks6.udp import AssociationConfirmation, Datagram, DatagramError, ErrorCode
from tests.proxy.associations import Socks6Association, datagram_socket, receive_from, udp_request
from tests.proxy.namespaces import CLIENT_NET, GATEWAY, SERVER, Row, namespaces_in_a_row, run_in
from tests.proxy.peers import connected_socket
from tests.proxy.running import RunningProxy

pytestmark = [pytest.mark.netns, pytest.mark.slow]
CLIENT = {socket.AF_INET: "10.77.1.2", socket.AF_INET6: "fd77:1::2"}
EITHER_FAMILY = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "udp"])
ERRORS = UdpError(Leg.PROXY_REMOTE, True)
CLOSED_PORT = 9


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    with namespaces_in_a_row() as made:
        for setting in ("ipv4.ip_forward=1", "ipv6.conf.all.forwarding=1"):
            set_in(made.gateway, setting)
        for namespace in (made.gateway, made.server):
            for setting in ("ipv4.icmp_ratelimit=0", "ipv6.icmp.ratelimit=0"):
                set_in(namespace, setting)
        run("ip", "-6", "-n", made.gateway, "route", "add", "prohibit", "fd77:fffe::1")
        for family, via in (("-4", "10.77.2.1"), ("-6", "fd77:2::1")):
            run("ip", family, "-n", made.server, "route", "add", "default", "via", via)
        yield made


def run(*arguments: str) -> None:
    subprocess.run(arguments, check=True)


def set_in(namespace: str, setting: str) -> None:
    run("ip", "netns", "exec", namespace, "sysctl", "-q", "-w", f"net.{setting}")


@contextmanager
def proxy_in(namespace: str) -> Iterator[RunningProxy]:
    """Two workers, listening on all addresses of both families."""
    listen = ("--listen", "0.0.0.0:6666", "--listen", "[::]:6666")
    allow = ("--allow", CLIENT_NET[0], "--allow", CLIENT_NET[1])
    with RunningProxy("serve", *listen, *allow, "--workers", "2", prefix=("ip", "netns", "exec", namespace)) as proxy:
        yield proxy


@contextmanager
def association_from(namespace: str, own: str, proxy: str, options: Options = ()) -> Iterator[Socks6Association]:
    """Of a client in the namespace, that has the address `own` there."""
    address = (proxy, 6666)
    with (
        run_in(namespace, lambda: connected_socket(address)) as control,
        run_in(namespace, lambda: datagram_socket(own)) as sock,
    ):
        request = udp_request("::" if ":" in own else "0.0.0.0", 0, options)
        yield Socks6Association(control, sock, address, Socks6Client(request))


def open_association(association: Socks6Association, transport: str) -> None:
    send = association.send_over_tcp if transport == "tcp" else association.send_over_udp
    send("0.0.0.0", 0)
    association.expect(AssociationConfirmation)


def send(association: Socks6Association, transport: str, host: str, port: int, data: bytes) -> None:
    (association.send_over_tcp if transport == "tcp" else association.send_over_udp)(host, port, data)


def receive(association: Socks6Association, transport: str) -> object:
    return association.event() if transport == "tcp" else association.receive_over_udp()


def told_after(association: Socks6Association, transport: str, host: str, port: int) -> object:
    """What comes of a datagram, sent again until it is told: a router tells so many errors a second, and no more."""
    sock = association.control if transport == "tcp" else association.socket
    for _ in range(10):
        send(association, transport, host, port, b"lost")
        if select.select([sock], [], [], 1.5)[0]:
            return receive(association, transport)
    raise AssertionError("nothing was told")


@EITHER_FAMILY
@TRANSPORTS
def test_a_client_on_another_host_is_served(row: Row, family: socket.AddressFamily, transport: str) -> None:
    with (
        proxy_in(row.gateway),
        run_in(row.server, lambda: datagram_socket(SERVER[family])) as remote,
        association_from(row.client, CLIENT[family], GATEWAY[family]) as association,
    ):
        port = remote.getsockname()[1]
        for number in range(4):
            send(association, transport, SERVER[family], port, bytes((number,)))
            data, source = receive_from(remote)
            assert data == bytes((number,))
            if not number:
                association.expect(AssociationConfirmation)
            remote.sendto(data, source)
            back = receive(association, transport)
            assert back == Datagram(association.id, Address.of(SERVER[family]), port, data)


@EITHER_FAMILY
@TRANSPORTS
@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("closed port", ErrorCode.HOST_UNREACHABLE),
        ("no route", ErrorCode.NETWORK_UNREACHABLE),
        ("no such host", ErrorCode.HOST_UNREACHABLE),
        ("prohibited", ErrorCode.HOST_UNREACHABLE),
        ("ttl", ErrorCode.TTL_EXPIRED),
    ],
)
def test_errors_are_told_with_who_reports_them(
    row: Row, family: socket.AddressFamily, transport: str, case: str, code: ErrorCode
) -> None:
    host, reporter = {
        "closed port": (SERVER, SERVER),
        "no route": ({socket.AF_INET: "203.0.113.1", socket.AF_INET6: "2001:db8::1"}, GATEWAY),
        "no such host": ({socket.AF_INET: "198.51.100.1", socket.AF_INET6: "fd77:2::99"}, GATEWAY),
        "prohibited": ({socket.AF_INET: "198.51.100.2", socket.AF_INET6: "fd77:fffe::1"}, GATEWAY),
        "ttl": (SERVER, GATEWAY),
    }[case]
    options: Options = (ERRORS, Ttl(Leg.PROXY_REMOTE, 1)) if case == "ttl" else (ERRORS,)
    with proxy_in(row.client), association_from(row.client, CLIENT[family], CLIENT[family], options) as association:
        assert set(association.reply.options) == set(options)
        open_association(association, transport)
        for _ in range(2):
            told = told_after(association, transport, host[family], CLOSED_PORT)
            assert told == DatagramError(
                association.id, Address.of(host[family]), CLOSED_PORT, code, Address.of(reporter[family])
            )


def test_errors_are_told_only_to_who_asked(row: Row) -> None:
    with (
        proxy_in(row.client),
        run_in(row.server, lambda: datagram_socket(SERVER[socket.AF_INET])) as remote,
        association_from(row.client, CLIENT[socket.AF_INET], CLIENT[socket.AF_INET]) as association,
    ):
        open_association(association, "tcp")
        association.send_over_tcp(SERVER[socket.AF_INET], CLOSED_PORT, b"lost")
        association.send_over_tcp(SERVER[socket.AF_INET], remote.getsockname()[1], b"1")
        remote.sendto(b"2", receive_from(remote)[1])
        assert association.expect(Datagram).data == b"2"


def test_an_error_of_one_destination_costs_no_datagram_to_another(row: Row) -> None:
    """The kernel tells it to whatever is sent next."""
    server = SERVER[socket.AF_INET]
    with (
        proxy_in(row.client),
        run_in(row.server, lambda: datagram_socket(server)) as remote,
        association_from(row.client, CLIENT[socket.AF_INET], CLIENT[socket.AF_INET], (ERRORS,)) as association,
    ):
        open_association(association, "tcp")
        pairs = 200
        for number in range(pairs):
            association.send_over_tcp(server, CLOSED_PORT, b"lost")
            association.send_over_tcp(server, remote.getsockname()[1], number.to_bytes(2, "big"))
        assert [receive_from(remote)[0] for _ in range(pairs)] == [n.to_bytes(2, "big") for n in range(pairs)]
        assert association.expect(DatagramError).port == CLOSED_PORT


def test_what_is_too_big_is_told_for_ipv6(row: Row) -> None:
    """First by the router whose link is small; from then on the proxy's host knows, and says so itself."""
    run("ip", "-n", row.gateway, "link", "set", "s1", "mtu", "1280")
    options: Options = (ERRORS, NoFragmentation(Leg.PROXY_REMOTE, True))
    own, server = CLIENT[socket.AF_INET6], SERVER[socket.AF_INET6]
    try:
        with proxy_in(row.client), association_from(row.client, own, own, options) as association:
            open_association(association, "tcp")
            for reporter in (GATEWAY[socket.AF_INET6], association.bound[0]):
                association.send_over_tcp(server, CLOSED_PORT, bytes(1400))
                told = association.expect(DatagramError)
                assert (told.code, told.address.host, told.port) == (ErrorCode.TOO_BIG, server, CLOSED_PORT)
                assert told.reporter.host in (reporter, "::")
    finally:
        run("ip", "-n", row.gateway, "link", "set", "s1", "mtu", "1500")


def test_no_route_of_our_own_is_told_by_ourselves(row: Row) -> None:
    own = CLIENT[socket.AF_INET]
    run("ip", "-n", row.client, "route", "add", "unreachable", "198.51.100.9")
    with proxy_in(row.client), association_from(row.client, own, own, (ERRORS,)) as association:
        open_association(association, "tcp")
        association.send_over_tcp("198.51.100.9", CLOSED_PORT, b"lost")
        assert association.expect(DatagramError).code is ErrorCode.HOST_UNREACHABLE
