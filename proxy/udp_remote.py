"""The remote side of a UDP association: its sockets towards remote hosts, one for each address family.

Whom the client may send to may send to it, too, also unasked: an association can be a server.
"""

from __future__ import annotations

from errno import EHOSTUNREACH, EMSGSIZE, ENETUNREACH
from select import EPOLLERR, EPOLLIN
from socket import AF_INET, SO_ERROR, SOL_SOCKET, AddressFamily, SocketType
from typing import TYPE_CHECKING, Any

from codec.socks6.udp import ErrorCode
from proxy.datagrams import HEADROOM, PER_TURN, view
from proxy.local_address import ANY_HOST, family_of, plain
from proxy.outcome import keep_icmp
from proxy.stack import NO_WISHES, LegWishes, apply
from proxy.udp_destinations import Destinations
from proxy.udp_errors import Fault, faults
from proxy.udp_ports import bound_socket

if TYPE_CHECKING:
    from proxy.association import Association
    from proxy.loop import Loop

MOST_KNOWN = 256
"""Remote hosts whose headers are remembered; as many as destinations are, so that none of those is forgotten."""
_CODES = {ENETUNREACH: ErrorCode.NETWORK_UNREACHABLE, EHOSTUNREACH: ErrorCode.HOST_UNREACHABLE}

SocketAddress = tuple[Any, ...]


class RelaySocket:
    """A socket of the remote side, and the handler of its events. Level-triggered: what one turn leaves, the next
    brings again."""

    __slots__ = ("_remote", "socket")

    def __init__(self, remote: Remote, sock: SocketType) -> None:
        self._remote = remote
        self.socket = sock

    def ready(self, mask: int) -> None:
        remote, sock = self._remote, self.socket
        if mask & EPOLLERR:
            remote.read_errors(sock)
            sock.getsockopt(SOL_SOCKET, SO_ERROR)  # else it stays ready for ever
        association, known, space = remote.association, remote.known, view[HEADROOM:]
        for _ in range(PER_TURN):
            try:
                count, source = sock.recvfrom_into(space)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error: its time to be told is when the error queue is read
                continue
            header = known.get(source)
            if header is None:
                if not association.permits(None, plain(source[0]), source[1]):
                    continue
                header = association.header(plain(source[0]), source[1])
            association.deliver(header, count)
            if remote.paused:
                return

    def crashed(self, error: Exception) -> None:
        self._remote.association.crashed(error)


class Remote:
    """One per association."""

    __slots__ = ("_destinations", "_host", "_loop", "_report", "_sockets", "_wishes", "association", "known", "paused")

    def __init__(self, association: Association) -> None:
        worker = association.session.worker
        self.association = association
        self.known: dict[SocketAddress, bytes] = {}
        """Headers, by the socket address of whom the client has sent to."""
        self.paused = False
        self._loop: Loop = worker.loop
        self._destinations = Destinations(self, worker.resolver, worker.options.timeouts.name)
        self._wishes = NO_WISHES.remote
        self._report = False
        self._host = ""
        self._sockets: dict[int, RelaySocket] = {}
        """By family."""

    def set_up(self, wishes: LegWishes, *, report: bool, host: str) -> None:
        """Before any socket is made. `report` is whether ICMP errors are told to the client; `host`: the address to
        send from, if it is to be that one and no other."""
        self._wishes = wishes
        self._report = report
        self._host = host

    def adopt(self, sock: SocketType) -> None:
        """Use a bound socket. Raises OSError."""
        apply(sock, self._wishes)
        if self._report:
            keep_icmp(sock, keep=True)
        relay = self._sockets[sock.family] = RelaySocket(self, sock)
        if not self.paused:
            self._loop.add(sock.fileno(), relay, EPOLLIN)

    def send(self, endpoint: bytes, data: memoryview) -> None:
        """Send to where the client wants, now or once its name is known; or never, if it may not."""
        destination = self._destinations.find(endpoint, self._loop.now)
        if destination.socket is None:
            destination.hold(data)
        else:
            self.transmit(destination.socket, destination.address, data)

    def transmit(self, sock: SocketType, address: SocketAddress, data: memoryview | bytes) -> None:
        """Send, or drop."""
        try:
            sock.sendto(data, address)
        except BlockingIOError:
            return
        except OSError as error:
            if not (self._report and self._send_again(sock, address, data, error.errno or 0)):
                return
        self.association.up += len(data)
        self.association.datagrams += 1

    def socket_for(self, host: str) -> SocketType | None:
        """The socket that sends to this address; it is made by the first that needs it."""
        family = family_of(host)
        if self.association.session.is_over:
            return None
        if family not in self._sockets and (not self._host or family_of(self._host) is family):
            self._open(family)
        relay = self._sockets.get(family)
        return relay.socket if relay is not None else None

    def learn(self, address: SocketAddress) -> None:
        """The client sends there: what comes from there is for it."""
        host, port = address[:2]
        source = (host, port) if family_of(host) == AF_INET else (host, port, 0, 0)
        self.known.pop(source, None)
        self.known[source] = self.association.header(host, port)
        if len(self.known) > MOST_KNOWN:
            del self.known[next(iter(self.known))]

    def pause(self) -> None:
        """Leave to the kernel what comes: it keeps little, and drops the rest without our help."""
        if not self.paused:
            self.paused = True
            for relay in self._sockets.values():
                self._loop.remove(relay.socket.fileno())

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            for relay in self._sockets.values():
                self._loop.add(relay.socket.fileno(), relay, EPOLLIN)

    def read_errors(self, sock: SocketType) -> bool:
        """Tell the client what the error queue holds; whether there was anything."""
        found = False
        for fault in faults(sock):
            found = True
            if fault is not None:
                self._tell(sock, fault)
        return found

    def close(self) -> None:
        self._destinations.close()
        for relay in self._sockets.values():
            self._loop.bury(relay.socket)
        self._sockets.clear()

    def _open(self, family: AddressFamily) -> None:
        """A socket of the second family has the port of the first, if nobody else has."""
        first = next((relay.socket.getsockname()[1] for relay in self._sockets.values()), 0)
        for port in {first: None, 0: None}:
            try:
                self.adopt(bound_socket(family, self._host or ANY_HOST[family], port))
            except OSError:
                continue  # no such family here, or no descriptor: what goes there is dropped
            return

    def _send_again(self, sock: SocketType, address: SocketAddress, data: memoryview | bytes, error: int) -> bool:
        """The error may be about an earlier datagram, which the kernel tells once, to whoever calls next; whether this
        one is sent now."""
        if self.read_errors(sock) and error != EMSGSIZE:
            try:
                sock.sendto(data, address)
            except OSError as second:
                error = second.errno or 0
            else:
                return True
        if error in _CODES:
            self._tell(sock, Fault(_CODES[error], address[0], address[1], ""))
        return False

    def _tell(self, sock: SocketType, fault: Fault) -> None:
        reporter = fault.reporter or plain(sock.getsockname()[0])
        self.association.report(fault._replace(host=plain(fault.host), reporter=reporter))
