"""What bounds an association, what ends it, and that nothing is left of it."""

from __future__ import annotations

import resource
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from codec import socks5
from codec.address import Address
from codec.client import Socks6Client
from codec.command import Command
from codec.socks6.stack import Leg, Parity, PortParity
from codec.socks6.udp import AssociationConfirmation, Datagram, ErrorCode
from proxy.door import Door
from proxy.local_address import outward_host, source_towards
from proxy.loop import Loop
from proxy.options import Timeouts
from proxy.resolver import Resolver
from proxy.udp_destinations import MOST_HELD, MOST_HELD_OCTETS, MOST_QUESTIONS, Destinations
from proxy.udp_errors import _fault
from tests.proxy.associations import (
    Socks5Association,
    Socks6Association,
    datagram_socket,
    receive_from,
    socks5_association,
    socks6_association,
    udp_request,
)
from tests.proxy.footprint import descriptors
from tests.proxy.peers import connected_socket, listening_socket, reset, socks5_request
from tests.proxy.running import LOOPBACK, ONE_WORKER, PATIENCE, RunningProxy
from tests.proxy.tls_client import certify, tls_connection
from tests.proxy.waiting import eventually

pytestmark = pytest.mark.slow

EITHER = pytest.mark.parametrize("associate", [socks5_association, socks6_association], ids=["socks5", "socks6"])


@EITHER
def test_a_reset_connection_ends_its_association(proxy: RunningProxy, associate: Callable[..., Any]) -> None:
    with associate(proxy.address) as association:
        client = association.control.getsockname()
        reset(association.control)
        assert proxy.connection(client=f"127.0.0.1:{client[1]}")["end"] == "client reset"


@EITHER
def test_much_that_is_sent_over_the_connection_of_an_association_costs_nothing(
    proxy: RunningProxy, associate: Callable[..., Any]
) -> None:
    with datagram_socket() as remote, associate(proxy.address) as association:
        message = association.message("127.0.0.1", 0) if isinstance(association, Socks6Association) else b"x" * 16
        association.control.sendall(message * (1 << 16))
        if isinstance(association, Socks5Association):
            association.send("127.0.0.1", remote.getsockname()[1], b"hello")
        else:
            association.send_over_tcp("127.0.0.1", remote.getsockname()[1], b"hello")
        assert receive_from(remote)[0] == b"hello"


def test_nothing_is_left_of_many_associations() -> None:
    parity = udp_request(options=(PortParity(Leg.PROXY_REMOTE, Parity.EVEN, True),))
    with RunningProxy(*ONE_WORKER) as proxy, datagram_socket() as remote:
        port = remote.getsockname()[1]
        before = descriptors(proxy.workers[0])
        for number in range(150):
            with socks5_association(proxy.address) as old:
                old.send("127.0.0.1", port, b"1")
                old.send("::1", 9, b"1")
                receive_from(remote)
            with socks6_association(proxy.address, parity) as new:
                (new.send_over_udp if number % 2 else new.send_over_tcp)("127.0.0.1", port, b"1")
                new.expect(AssociationConfirmation)
                receive_from(remote)
        assert eventually(lambda: descriptors(proxy.workers[0]) == before)


def test_clients_behind_tls_are_served(tmp_path: Path) -> None:
    """Their datagrams over TCP are within TLS; SOCKS 5 has none."""
    tls = certify(tmp_path)
    arguments = (
        "serve", "--workers", "2", *LOOPBACK, "--set", 'listen=[{address="127.0.0.1:0",tls=true}]',
        "--set", f'tls={{certificate="{tls.certificate}",key="{tls.key}"}}',
    )  # fmt: skip
    with (
        RunningProxy(*arguments) as proxy,
        datagram_socket() as remote,
        datagram_socket() as sock,
        tls_connection(proxy.address, tls.certificate) as client,
        tls_connection(proxy.address, tls.certificate) as other,
    ):
        new = Socks6Association(client, sock, proxy.address, Socks6Client(udp_request()))  # type: ignore[arg-type]
        new.send_over_tcp("127.0.0.1", remote.getsockname()[1], b"x" * 40000)
        new.expect(AssociationConfirmation)
        data, source = receive_from(remote)
        remote.sendto(data, source)
        assert new.expect(Datagram).data == b"x" * 40000
        request = socks5_request("0.0.0.0", 0, command=Command.UDP_ASSOCIATE)
        other.sendall(request.open())
        reply = request.receive_reply(other.recv(2))
        while not isinstance(reply, socks5.Reply):
            other.sendall(request.outgoing())
            reply = request.receive_reply(other.recv(1))
        datagram = socks5.Datagram(Address.of("127.0.0.1"), remote.getsockname()[1], b"hello")
        sock.sendto(socks5.encode_datagram(datagram), (reply.address.host, reply.port))
        assert receive_from(remote)[0] == b"hello"


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop(tick_seconds=PATIENCE, on_tick=lambda: made.stop())  # noqa: PLW0108 -- it has no name yet
    yield made
    made.close()


class SilentRemote:
    """The sockets of an association whose names nobody resolves."""

    def __init__(self) -> None:
        self.association = self

    @staticmethod
    def destination(endpoint: bytes) -> tuple[Address, int]:
        return Address.of(endpoint.decode()), 53


def test_what_waits_for_names_is_bounded(loop: Loop) -> None:
    hanging = threading.Event()

    def hang(_: bytes) -> tuple[()]:
        hanging.wait(PATIENCE)
        return ()

    destinations = Destinations(SilentRemote(), Resolver(loop, Timeouts(), hang), 1.0)  # type: ignore[arg-type]
    for number in range(2 * MOST_QUESTIONS):
        destination = destinations.find(f"name{number}.invalid".encode(), loop.now)
        for _ in range(MOST_HELD):
            destination.hold(memoryview(b"datagram"))
    assert destinations.questions == MOST_QUESTIONS
    assert (destinations.held, destinations.held_octets) == (MOST_HELD, 8 * MOST_HELD)
    destinations.close()
    assert (destinations.questions, destinations.held, destinations.held_octets) == (0, 0, 0)
    large = destinations.find(b"large.invalid", loop.now)
    for _ in range(3):
        large.hold(memoryview(bytes(MOST_HELD_OCTETS // 2)))
    assert destinations.held_octets == MOST_HELD_OCTETS
    hanging.set()


class Waiting:
    """Whoever comes is the one."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.peer: tuple[str, int] | None = None
        self.is_closed = False

    def expects(self, _host: str, _port: int) -> bool:
        return True

    def came(self, peer: socket.SocketType, host: str, port: int) -> None:
        peer.close()
        self.peer = host, port
        self._loop.stop()

    def closed(self) -> None:
        self.is_closed = True

    def crashed(self, error: Exception) -> None:
        raise error


def test_a_door_waits_for_descriptors(loop: Loop) -> None:
    listener = listening_socket()
    listener.setblocking(False)
    waiting = Waiting(loop)
    door = Door(loop, listener)
    with connected_socket(listener.getsockname()) as peer:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            door.wait(waiting)
            door.ready(1)
            assert waiting.peer is None
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        loop.run()
        assert waiting.peer == peer.getsockname()
    door.wait(waiting)
    door.close()
    door.close()
    assert waiting.is_closed
    listener.close()


@pytest.mark.parametrize(
    ("origin", "kind", "detail", "error", "destination", "code"),
    [
        (2, 3, 4, 90, "192.0.2.1", None),
        (1, 0, 0, 90, "192.0.2.1", None),
        (1, 0, 0, 90, "2001:db8::1", ErrorCode.TOO_BIG),
        (2, 11, 1, 113, "192.0.2.1", None),
        (2, 12, 0, 71, "192.0.2.1", None),
        (2, 3, 6, 101, "192.0.2.1", ErrorCode.NETWORK_UNREACHABLE),
    ],
    ids=["v4 too big", "v4 too big for us", "v6 too big for us", "reassembly", "parameter problem", "unknown network"],
)
def test_errors_that_no_router_here_sends(
    origin: int, kind: int, detail: int, error: int, destination: str, code: ErrorCode | None
) -> None:
    offender = struct.pack("=HHI8x", 0, 0, 0)
    extended = struct.pack("@IBBBBII", error, origin, kind, detail, 0, 0, 0) + offender
    fault = _fault([(0, 0, b"short"), (0, 11, extended)], (destination, 53))
    assert (fault and fault.code) == code
    assert fault is None or fault.reporter == ""


def test_the_first_configured_source_is_the_address_outside() -> None:
    assert outward_host(socket.AF_INET, ("2001:db8::5", "198.51.100.5")) == "198.51.100.5"
    assert source_towards("127.0.0.1") == "127.0.0.1"
    assert source_towards("255.255.255.255") is None
