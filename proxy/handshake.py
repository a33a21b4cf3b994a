"""The SOCKS side of a session: from the first octet to the reply."""

from __future__ import annotations

from select import EPOLLHUP, EPOLLIN, EPOLLRDHUP
from socket import MSG_DONTWAIT, MSG_NOSIGNAL, SocketType
from typing import TYPE_CHECKING

from codec import socks4, socks5
from codec.address import ANY_IPV4, Address
from codec.command import Command
from codec.errors import NEED_DATA, NeedData, RemoteProtocolError
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.rfc1929 import UserPassword
from codec.server import Event, Request, ServerConnection
from codec.socks6 import messages as socks6
from codec.socks6.option_list import Options, find_option
from codec.socks6.stack import Leg, Multipath
from codec.socks6.udp import Datagram

if TYPE_CHECKING:
    from proxy.session import Session

LARGEST_READ = 4096
_SEND = MSG_DONTWAIT | MSG_NOSIGNAL


class Handshake:
    """The handler of a client's events until its request is whole; then what answers the client."""

    __slots__ = ("_connection", "_options", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._connection = ServerConnection()
        self._options: Options = ()

    def ready(self, mask: int) -> None:
        """Read until the request is whole or there is no more to read."""
        session = self._session
        while True:
            try:
                data = session.client.recv(LARGEST_READ, MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                session.end("client reset")
                return
            if not data:
                session.end("client closed in its handshake")
                return
            more = len(data) == LARGEST_READ or mask & (EPOLLRDHUP | EPOLLHUP)
            if self._received(data) or not more:
                if more:
                    session.client_events |= EPOLLIN
                return

    def crashed(self, error: Exception) -> None:
        self._session.crashed(error)

    def connected(self, remote: SocketType, multipath: bool) -> bool:
        """Tell the client that its remote host is reached, and how; False if it cannot be told."""
        host, port = remote.getsockname()[:2]
        wanted = find_option(self._options, Multipath)
        options = (Multipath(Leg.PROXY_REMOTE, wanted=multipath),) if wanted else ()
        return self._send(self._connection.send_reply(ReplyCode.SUCCEEDED, Address.of(host), port, options))

    def refused(self, code: ReplyCode) -> None:
        """Tell the client why not."""
        self._send(self._connection.send_reply(code, ANY_IPV4, 0))

    def early_data(self) -> bytes:
        """What the client sent behind its request."""
        return self._connection.leftover()

    def _received(self, data: bytes) -> bool:
        """Take octets; whether the handshake is over, well or not."""
        try:
            event = self._connection.receive(data)
            if isinstance(event, socks5.Greeting):
                event = self._greeted(event)
        except RemoteProtocolError as error:
            self._send(error.reply)
            self._session.end(f"malformed: {error}")
            return True
        if event is NEED_DATA:
            return self._session.is_over
        # No credentials were asked for and no association was granted: what else comes is a request.
        assert not isinstance(event, socks5.Greeting | UserPassword | Datagram)
        self._requested(event)
        return True

    def _greeted(self, greeting: socks5.Greeting) -> Event | NeedData:
        self._session.protocol = "socks5"
        if AuthenticationMethod.NONE not in greeting.methods:
            self._send(self._connection.send_method(AuthenticationMethod.NONE_ACCEPTABLE))
            self._session.end("no acceptable authentication method")
            return NEED_DATA
        if not self._send(self._connection.send_method(AuthenticationMethod.NONE)):
            self._session.end("client reset")
            return NEED_DATA
        return self._connection.receive(b"")

    def _requested(self, request: Request) -> None:
        session = self._session
        if isinstance(request, socks6.Request):
            session.protocol = "socks6"
            self._options = request.options
            multipath = find_option(request.options, Multipath)
            session.wants_multipath = multipath is None or multipath.wanted
        elif isinstance(request, socks4.Request):
            session.protocol = "socks4"
        session.destination, session.port = request.address, request.port
        if request.command is Command.CONNECT:
            session.connect()
        elif request.command is Command.NOOP and isinstance(request, socks6.Request):
            self.refused(ReplyCode.SUCCEEDED)
            session.end("noop")
        else:
            session.refuse(ReplyCode.COMMAND_NOT_SUPPORTED)

    def _send(self, data: bytes) -> bool:
        """Replies are far smaller than an empty send buffer: one that does not fit means that the client has gone."""
        try:
            return self._session.client.send(data, _SEND) == len(data)
        except OSError:
            return False
