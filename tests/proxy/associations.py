"""UDP associations through a proxy, as blocking sockets in this process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from codec import socks5
from codec.address import Address
from codec.client import Socks6Client
from codec.command import Command
from codec.errors import NEED_DATA
from codec.reply import ReplyCode
from codec.rfc1929 import UserPassword
from codec.socks6 import messages, udp
from codec.socks6.option_list import Options
from tests.proxy.peers import Tunnel, connected_socket, socks5_request, tunnel
from tests.proxy.running import PATIENCE

MessageT = TypeVar("MessageT")
Endpoint = tuple[str, int]
LOOPBACK_NAME = "127.1"
"""A name to the proxy, and to the C library 127.0.0.1 on any machine; what localhost is, its hosts file says."""


def datagram_socket(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A UDP socket, bound."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def receive_from(sock: socket.socket) -> tuple[bytes, Endpoint]:
    data, source = sock.recvfrom(1 << 16)
    return data, source[:2]


def nothing_has_come(sock: socket.socket) -> bool:
    """On loopback what is sent is there at once."""
    sock.setblocking(False)
    try:
        sock.recv(1)
    except BlockingIOError:
        return True
    return False


class Socks5Association:
    """A granted one: its TCP connection, and a UDP socket to use it with."""

    def __init__(self, control: Tunnel, sock: socket.socket) -> None:
        assert control.code is ReplyCode.SUCCEEDED
        self.control = control.socket
        self.relay = control.reply.address.host, control.reply.port
        self.socket = sock

    def send(self, host: str, port: int, data: bytes, *, fragment: int = 0, sock: socket.socket | None = None) -> None:
        datagram = socks5.Datagram(Address.of(host), port, data, fragment)
        (sock or self.socket).sendto(socks5.encode_datagram(datagram), self.relay)

    def receive(self) -> socks5.Datagram:
        return socks5.decode_datagram(self.socket.recv(1 << 16))


@contextmanager
def socks5_association(proxy: Endpoint, announced_port: int = 0) -> Iterator[Socks5Association]:
    host = proxy[0]
    request = socks5_request("::" if ":" in host else "0.0.0.0", announced_port, command=Command.UDP_ASSOCIATE)
    with tunnel(proxy, request) as control, datagram_socket(host) as sock:
        yield Socks5Association(control, sock)


class Socks6Association:
    """A granted one. `socket` is a UDP socket that nothing was sent from yet."""

    def __init__(self, control: socket.socket, sock: socket.socket, proxy: Endpoint, client: Socks6Client) -> None:
        self.control = control
        self.socket = sock
        self.proxy = proxy
        self._client = client
        control.sendall(client.open())
        authenticated = self.event()
        assert isinstance(authenticated, messages.AuthenticationReply)
        self.session_options = authenticated.options
        reply = self.event()
        assert isinstance(reply, messages.OperationReply)
        self.reply = reply
        self.id = b""
        if reply.code is ReplyCode.SUCCEEDED:
            init = self.event()
            assert isinstance(init, udp.AssociationInit)
            self.id = init.association_id

    @property
    def bound(self) -> Endpoint:
        return self.reply.address.host, self.reply.port

    def event(self) -> object:
        """The next message over TCP."""
        event = self._client.receive(b"")
        while event is NEED_DATA:
            data = self.control.recv(1 << 16)
            assert data, "the proxy closed the connection"
            event = self._client.receive(data)
        return event

    def expect(self, kind: type[MessageT]) -> MessageT:
        event = self.event()
        assert isinstance(event, kind)
        return event

    def message(self, host: str, port: int, data: bytes = b"") -> bytes:
        return udp.encode_udp(udp.Datagram(self.id, Address.of(host), port, data))

    def send_over_tcp(self, host: str, port: int, data: bytes = b"") -> None:
        self.control.sendall(self.message(host, port, data))

    def send_over_udp(
        self, host: str, port: int, data: bytes = b"", *, behind: bytes = b"", sock: socket.socket | None = None
    ) -> None:
        (sock or self.socket).sendto(self.message(host, port, data) + behind, self.proxy)

    def receive_over_udp(self) -> udp.UdpMessage:
        decoded = udp.decode_udp(self.socket.recv(1 << 16))
        assert decoded is not NEED_DATA
        return decoded[0]


def udp_request(host: str = "0.0.0.0", port: int = 0, options: Options = ()) -> messages.Request:
    return messages.Request(Command.UDP_ASSOCIATE, Address.of(host), port, options)


@contextmanager
def socks6_association(
    proxy: Endpoint, request: messages.Request | None = None, credentials: UserPassword | None = None
) -> Iterator[Socks6Association]:
    with connected_socket(proxy) as control, datagram_socket(proxy[0]) as sock:
        yield Socks6Association(control, sock, proxy, Socks6Client(request or udp_request(), credentials))
