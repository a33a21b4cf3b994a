"""Reaching a destination through a SOCKSv6 proxy, with Multipath asked for on its far side."""

from __future__ import annotations

from socket import MSG_DONTWAIT, MSG_NOSIGNAL, SocketType
from typing import TYPE_CHECKING

from codec.address import Address
from codec.client import Socks6Client
from codec.command import Command
from codec.errors import RemoteProtocolError
from codec.reply import ReplyCode
from codec.socks6.messages import OperationReply, Request
from codec.socks6.option_list import find_option
from codec.socks6.stack import Leg, Multipath
from proxy.relay import READABLE

if TYPE_CHECKING:
    from proxy.session import Session

LARGEST_READ = 4096


class ViaHandshake:
    """The dialogue with the next proxy, and the handler of the connection to it until it has replied."""

    __slots__ = ("_client", "_session", "_socket")

    def __init__(self, session: Session, sock: SocketType, destination: Address, port: int) -> None:
        self._session = session
        self._socket: SocketType | None = sock
        options = (Multipath(Leg.PROXY_REMOTE, wanted=True),)
        self._client = Socks6Client(Request(Command.CONNECT, destination, port, options))

    def begin(self, mask: int) -> None:
        """Send the request; `mask` is what has happened to the connection already."""
        assert self._socket is not None
        self._session.worker.loop.handlers[self._socket.fileno()] = self
        try:
            self._socket.send(self._client.open(), MSG_DONTWAIT | MSG_NOSIGNAL)
        except OSError:
            self._fail(ReplyCode.GENERAL_FAILURE)
            return
        if mask & READABLE:
            self.ready(mask)

    def ready(self, mask: int) -> None:
        sock = self._socket
        while sock is not None:
            try:
                data = sock.recv(LARGEST_READ, MSG_DONTWAIT)
                if not data:
                    self._client.receive_end()
                reply = self._client.receive_reply(data)
            except BlockingIOError:
                return
            except (OSError, RemoteProtocolError):
                self._fail(ReplyCode.GENERAL_FAILURE)
                return
            if isinstance(reply, OperationReply):
                self._replied(sock, reply, mask)
                return

    def crashed(self, error: Exception) -> None:
        self._session.crashed(error)

    def expired(self) -> None:
        self._fail(ReplyCode.TIMED_OUT)

    def cancel(self) -> None:
        if self._socket is not None:
            self._session.worker.loop.bury(self._socket)
            self._socket = None

    def _replied(self, sock: SocketType, reply: OperationReply, mask: int) -> None:
        if reply.code is not ReplyCode.SUCCEEDED:
            self._fail(reply.code)
            return
        self._socket = None
        answer = find_option(reply.options, Multipath)
        self._session.connected(
            sock, mask, multipath=answer is not None and answer.wanted, early=self._client.leftover()
        )

    def _fail(self, code: ReplyCode) -> None:
        self.cancel()
        self._session.refuse(code)
