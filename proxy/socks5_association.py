"""UDP ASSOCIATE of SOCKS 5 (RFC 1928 section 7), and of SOCKSv6 draft-04, which has it the same.

The client sends to a socket of its own association, whose address and port the reply tells. Only the host that the TCP
connection comes from is heard there; its first datagram fixes the port, and nothing is sent to it before.
"""

from __future__ import annotations

from select import EPOLLERR, EPOLLIN
from socket import SO_ERROR, SOL_SOCKET, SocketType
from typing import TYPE_CHECKING, Any

from codec import socks5
from codec.address import Address, AddressType
from codec.reply import ReplyCode
from proxy.association import Association
from proxy.datagrams import HEADROOM, buffer, from_client, view
from proxy.local_address import family_of, plain, reached_at
from proxy.outcome import reply_code
from proxy.udp_ports import datagram_socket

if TYPE_CHECKING:
    from proxy.handshake import Handshake
    from proxy.session import Session

_BEFORE_ENDPOINT = bytes(3)
"""Two reserved octets, and a fragment number: none is sent in fragments, and fragments are dropped."""


class Socks5Association(Association):
    """One client's."""

    __slots__ = ("_announced_port", "_client", "_source")

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._announced_port = session.port
        """The port that the client says it will send from; 0: it does not say."""
        self._client: SocketType | None = None
        self._source: tuple[Any, ...] | None = None
        """Where the client sends from, once it has."""

    def begin(self, front: Handshake) -> None:
        """Open a socket for the client where it reaches us, and tell its port."""
        session = self.session
        session.serve(self)
        try:
            local = reached_at(session.client)
            sock = self._client = datagram_socket(family_of(local[0]))
            sock.bind(local)
        except OSError as error:
            session.refuse(reply_code(error.errno or 0))
            return
        session.worker.loop.add(sock.fileno(), FromClient(self, sock), EPOLLIN)
        session.worker.counters.replied(ReplyCode.SUCCEEDED)
        if front.granted(Address.of(plain(local[0])), sock.getsockname()[1], ()):
            self.ready(session.client_events | EPOLLIN)
        else:
            session.end("client reset")

    def ready(self, mask: int) -> None:
        """The TCP connection has nothing to say but its end: read on until that comes."""
        client = self.session.client
        if mask & EPOLLERR:
            self.session.broken(client, client.getsockopt(SOL_SOCKET, SO_ERROR))
            return
        self.read_connection(lambda _data: True)

    def header(self, host: str, port: int) -> bytes:
        return socks5.encode_datagram(socks5.Datagram(Address.of(host), port, b""))

    def destination(self, endpoint: bytes) -> tuple[Address, int]:
        datagram = socks5.decode_datagram(_BEFORE_ENDPOINT + endpoint)
        return datagram.address, datagram.port

    def received(self, count: int, source: tuple[Any, ...]) -> None:
        """A datagram stands at the start of `buffer`; send it on if it is the client's, whole, and in one piece."""
        if source != self._source and (self._source is not None or not self._may_open(source)):
            return
        end = _endpoint_end(count)
        if buffer[2] or not end or (self._source is None and not self._open(source)):
            return
        self.remote.send(bytes(view[3:end]), view[end:count])

    def deliver(self, header: bytes, count: int) -> None:
        if self._source is None:
            return
        start = HEADROOM - len(header)
        buffer[start:HEADROOM] = header
        assert self._client is not None
        try:
            self._client.send(view[start : HEADROOM + count])
        except OSError:
            return
        self.down += count
        self.datagrams += 1

    def cancel(self) -> None:
        super().cancel()
        if self._client is not None:
            self.session.worker.loop.bury(self._client)

    def _may_open(self, source: tuple[Any, ...]) -> bool:
        return source[0] == self.session.peer[0] and self._announced_port in (0, source[1])

    def _open(self, source: tuple[Any, ...]) -> bool:
        """The client's first datagram: from now on the kernel keeps from us what others send."""
        assert self._client is not None
        try:
            self._client.connect(source)
        except OSError:
            return False
        self._source = source
        return True


class FromClient:
    """The handler of the client's datagrams."""

    __slots__ = ("_association", "_socket")

    def __init__(self, association: Socks5Association, sock: SocketType) -> None:
        self._association = association
        self._socket = sock

    def ready(self, _mask: int) -> None:
        association, sock = self._association, self._socket
        for count, source in from_client(sock):
            association.received(count, source)

    def crashed(self, error: Exception) -> None:
        self._association.crashed(error)


def _endpoint_end(count: int) -> int:
    """Where address and port end in the datagram of so many octets; 0 if they do not."""
    kind = buffer[3]
    if kind == AddressType.IPV4:
        end = 10
    elif kind == AddressType.IPV6:
        end = 22
    elif kind == AddressType.DOMAIN_NAME:
        end = 7 + buffer[4]
    else:
        return 0
    return end if end <= count else 0
