"""Where SOCKSv6 clients send datagrams to over UDP: the ports that they also reach by TCP.

Every worker has a UDP socket on each of them (SO_REUSEPORT), so that the kernel may bring a client's first datagram to
any. The first octet of an association's ID is the slot of the worker that has the association, and the datagram is
passed on to that one. It then opens a socket that is connected to the client, to which the kernel brings all others:
it prefers those to sockets that take datagrams from everyone.
"""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_bytes
from select import EPOLLIN
from socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_PKTINFO,
    IPV6_RECVPKTINFO,
    SO_REUSEPORT,
    SOL_SOCKET,
    SocketType,
    inet_ntop,
)
from sys import byteorder
from typing import TYPE_CHECKING, Any

from codec.socks6.udp import ID_LENGTH
from proxy import log
from proxy.datagrams import PER_TURN, buffer, from_client
from proxy.local_address import family_of
from proxy.options import Draft, HostPort, Listen
from proxy.udp_ports import datagram_socket

if TYPE_CHECKING:
    from proxy.socks6_association import Socks6Association
    from proxy.worker import Worker

IP_PKTINFO = 8
"""linux/in.h; the socket module names it from Python 3.14 on."""
HEADER_OCTETS = 12
PASSED_ON_PER_SECOND = 2000
"""By one worker, so that a flood of datagrams with made-up IDs does not fill the channels between workers."""
_ID = slice(4, HEADER_OCTETS)


class Entrance:
    """One worker's: its UDP sockets, and its associations by their IDs."""

    def __init__(self, worker: Worker, listening: Sequence[tuple[Listen, SocketType]]) -> None:
        self._worker = worker
        self._associations: dict[bytes, Socks6Association] = {}
        self._second = 0.0
        """When the second began in which so many were passed on."""
        self._passed_on = 0
        self._ports = [
            port
            for listen, sock in listening
            if listen.draft is Draft.DRAFT_11 and (port := self._open(listen, sock.getsockname())) is not None
        ]

    def add(self, association: Socks6Association) -> bytes:
        """Its ID."""
        name = bytes((self._worker.channel.slot,)) + token_bytes(ID_LENGTH - 1)
        self._associations[name] = association
        return name

    def remove(self, name: bytes) -> None:
        self._associations.pop(name, None)

    def close(self) -> None:
        """Leave first datagrams to other workers; associations that have had theirs go on."""
        for port in self._ports:
            self._worker.loop.bury(port.socket)
        self._ports.clear()

    def received(self, count: int, source: tuple[Any, ...], local: tuple[Any, ...]) -> None:
        """A datagram stands at the start of `buffer`: bring it to its association, here or in another worker."""
        if count < HEADER_OCTETS:
            return
        name = bytes(buffer[_ID])
        association = self._associations.get(name)
        if association is not None:
            association.arrived(buffer, count, source, local)
        elif self._worker.channel.is_elsewhere(name[0]) and self._worker.may_use(source[0]) and self._may_pass_on():
            message = {"datagram": source, "local": local}
            self._worker.channel.send(name[0], message, bytes(buffer[:count]))

    def take_over(self, message: dict[str, Any], octets: bytes) -> None:
        """A datagram that came to another worker."""
        association = self._associations.get(octets[_ID])
        if association is not None:
            association.arrived(octets, len(octets), tuple(message["datagram"]), tuple(message["local"]))

    def open_own(
        self,
        association: Socks6Association,
        peer: tuple[Any, ...],
        local: tuple[Any, ...],
        unbound: SocketType | None = None,
    ) -> OwnSocket | None:
        """A socket between these two addresses only, made of `unbound` if that is given; None if there can be none."""
        try:
            sock = unbound or datagram_socket(family_of(peer[0]))
        except OSError:
            return None
        own = OwnSocket(self, association, sock, peer, local)
        try:
            sock.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
            sock.bind(local)
            sock.connect(peer)
            self._worker.loop.add(sock.fileno(), own, EPOLLIN)
        except OSError:
            sock.close()
            return None
        return own

    def crashed(self, error: Exception) -> None:
        """A datagram met a defect: it is lost, and no more."""
        self._worker.log.defect(error)

    def _open(self, listen: Listen, name: tuple[Any, ...]) -> Port | None:
        sock = None
        try:
            sock = datagram_socket(family_of(name[0]))
            sock.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
            if sock.family == AF_INET6:
                sock.setsockopt(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
            else:
                sock.setsockopt(IPPROTO_IP, IP_PKTINFO, 1)
            sock.bind(name)
        except OSError as error:
            # Datagrams over TCP are left to the clients.
            log.say("no udp", address=str(HostPort(listen.address.host, name[1])), why=error.strerror)
            if sock is not None:
                sock.close()
            return None
        port = Port(self, sock, name)
        self._worker.loop.add(sock.fileno(), port, EPOLLIN)
        return port

    def _may_pass_on(self) -> bool:
        now = self._worker.loop.now
        if now - self._second >= 1.0:
            self._second, self._passed_on = now, 0
        self._passed_on += 1
        return self._passed_on <= PASSED_ON_PER_SECOND


class Port:
    """The handler of a socket that takes datagrams from everyone. Level-triggered, as the other two kinds are."""

    __slots__ = ("_entrance", "_name", "socket")

    def __init__(self, entrance: Entrance, sock: SocketType, name: tuple[Any, ...]) -> None:
        self._entrance = entrance
        self._name = name
        self.socket = sock

    def ready(self, _mask: int) -> None:
        for _ in range(PER_TURN):
            try:
                count, ancillary, _, source = self.socket.recvmsg_into([buffer], 64)
            except BlockingIOError:
                return
            except OSError:
                continue
            self._entrance.received(count, source, self._local(ancillary))

    def crashed(self, error: Exception) -> None:
        self._entrance.crashed(error)

    def _local(self, ancillary: list[tuple[int, int, bytes]]) -> tuple[Any, ...]:
        """The address that the datagram was sent to, which one socket for all addresses does not have itself."""
        for level, kind, data in ancillary:
            if (level, kind) == (IPPROTO_IP, IP_PKTINFO):
                return inet_ntop(AF_INET, data[4:8]), self._name[1]
            if (level, kind) == (IPPROTO_IPV6, IPV6_PKTINFO):
                host = inet_ntop(AF_INET6, data[:16])
                scope = int.from_bytes(data[16:20], byteorder) if host.startswith("fe80:") else 0
                return host, self._name[1], 0, scope
        return self._name


class OwnSocket:
    """A socket that is connected to one client, and the handler of its events."""

    __slots__ = ("_association", "_entrance", "local", "peer", "socket")

    def __init__(
        self,
        entrance: Entrance,
        association: Socks6Association,
        sock: SocketType,
        peer: tuple[Any, ...],
        local: tuple[Any, ...],
    ) -> None:
        self._association = association
        self._entrance = entrance
        self.socket = sock
        self.peer = peer
        self.local = local

    def ready(self, _mask: int) -> None:
        association, entrance, sock = self._association, self._entrance, self.socket
        for count, source in from_client(sock):
            if count >= HEADER_OCTETS and buffer[_ID] == association.id:
                association.arrived(buffer, count, source, self.local)
            else:
                # Another association of the same client socket; or it came before this socket was connected.
                entrance.received(count, source, self.local)

    def crashed(self, error: Exception) -> None:
        self._association.crashed(error)

    def send(self, message: memoryview | bytes) -> bool:
        """Whether it could be sent."""
        try:
            self.socket.send(message)
        except OSError:
            return False
        return True
