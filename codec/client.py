"""The client's side of a SOCKS conversation, sans-IO.

Send `open()`, then feed what arrives to `receive`, act on the event it returns and send what `outgoing` gives, until
the reply is there. What the proxy decides is an event, refusals too; what it must not send is an error.
`leftover` hands over what the remote host sent behind the last reply.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from codec import rfc1929, socks4, socks5
from codec.command import Command
from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError, VersionMismatchError
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.rfc1929 import UserPassword
from codec.socks6 import dialect, messages, udp
from codec.socks6.dialect import DRAFT_11, Dialect
from codec.socks6.draft04 import messages as messages04

Socks5Event: TypeAlias = socks5.MethodSelection | rfc1929.UserPasswordStatus | socks5.Reply
Socks6Event: TypeAlias = dialect.AuthenticationReply | dialect.OperationReply | udp.UdpMessage
Event: TypeAlias = socks4.Reply | Socks5Event | Socks6Event
Reply: TypeAlias = socks4.Reply | socks5.Reply | dialect.OperationReply
EventT = TypeVar("EventT")
_REPLIES = (socks4.Reply, socks5.Reply, messages.OperationReply, messages04.OperationReply)


class ClientConnection(ABC):
    """What all versions share: the octets at hand, and handing them over once."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._outgoing = b""
        self._over = False
        """Whether the last message has come, and the octets at hand are data."""
        self._broken = False
        """Whether the proxy broke the protocol, and nothing that it sends makes sense any more."""

    @abstractmethod
    def open(self) -> bytes:
        """The first octets to send."""

    @abstractmethod
    def receive(self, data: bytes) -> Event | NeedData:
        """Take octets (none to look for a further event in those at hand); return the event they complete.

        Raises `RemoteProtocolError`.
        """

    def receive_reply(self, data: bytes) -> Reply | NeedData:
        """Like `receive`, for those who want to know nothing but how it went: the reply to the request.

        A refusal to authenticate is a `RemoteProtocolError` here.
        """
        event = self.receive(data)
        while event is not NEED_DATA:
            if isinstance(event, _REPLIES):
                return event
            if self._over:
                raise RemoteProtocolError("the proxy refuses to authenticate this client")
            event = self.receive(b"")
        return NEED_DATA

    def receive_end(self) -> None:
        """The proxy closed before its reply: raises what that means."""
        raise RemoteProtocolError("the proxy closed the connection before its reply")

    def outgoing(self) -> bytes:
        """What is to be sent now, once."""
        data, self._outgoing = self._outgoing, b""
        return data

    def leftover(self) -> bytes:
        """The octets behind the last reply, once."""
        if not self._over:
            raise LocalProtocolError("the octets at hand are not data before the reply")
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def _read(self, data: bytes, expects: Callable[[], EventT]) -> EventT:
        """Take octets, and look for what is expected in all those at hand."""
        if self._over or self._broken:
            raise LocalProtocolError("there is no further message to receive")
        self._buffer += data
        try:
            return expects()
        except RemoteProtocolError:
            self._broken = True
            self._buffer.clear()
            raise

    def _take(self, end: int) -> None:
        """Be done with the message at the start of the octets at hand."""
        del self._buffer[:end]


class Socks4Client(ClientConnection):
    """SOCKS 4 and 4a: request, reply; a second reply once a BIND has its peer."""

    def __init__(self, request: socks4.Request) -> None:
        super().__init__()
        self._request = request
        self._replies_due = 2 if request.command is Command.BIND else 1

    def open(self) -> bytes:
        return socks4.encode_request(self._request)

    def receive(self, data: bytes) -> socks4.Reply | NeedData:
        return self._read(data, self._replied)

    def _replied(self) -> socks4.Reply | NeedData:
        decoded = socks4.decode_reply(self._buffer)
        if decoded is NEED_DATA:
            return NEED_DATA
        self._take(decoded[1])
        self._replies_due -= 1
        self._over = not self._replies_due or decoded[0].code is not socks4.ResultCode.GRANTED
        return decoded[0]


class Socks5Client(ClientConnection):
    """SOCKS 5: greeting, method selection, credentials where demanded, request, reply; a second reply to a BIND."""

    def __init__(self, request: socks5.Request, credentials: UserPassword | None = None) -> None:
        super().__init__()
        self._request = request
        self._credentials = credentials
        self._expects = self._selected
        self._replies_due = 2 if request.command is Command.BIND else 1

    def open(self) -> bytes:
        methods = [AuthenticationMethod.NONE]
        if self._credentials is not None:
            methods.append(AuthenticationMethod.USER_PASSWORD)
        return socks5.encode_greeting(socks5.Greeting(bytes(methods)))

    def receive(self, data: bytes) -> Socks5Event | NeedData:
        return self._read(data, self._expects)

    def _selected(self) -> Socks5Event | NeedData:
        decoded = socks5.decode_method_selection(self._buffer)
        if decoded is NEED_DATA:
            return NEED_DATA
        selection = decoded[0]
        self._take(decoded[1])
        if selection.method == AuthenticationMethod.NONE:
            return self._authenticated()
        if selection.method == AuthenticationMethod.USER_PASSWORD and self._credentials is not None:
            self._outgoing = rfc1929.encode_user_password(self._credentials)
            self._expects = self._judged
            return self._judged()
        if selection.method != AuthenticationMethod.NONE_ACCEPTABLE:
            raise RemoteProtocolError(f"the proxy chose method {selection.method}, which was not offered")
        self._over = True
        return selection

    def _judged(self) -> rfc1929.UserPasswordStatus | socks5.Reply | NeedData:
        decoded = rfc1929.decode_status(self._buffer)
        if decoded is NEED_DATA:
            return NEED_DATA
        self._take(decoded[1])
        if decoded[0].success:
            return self._authenticated()
        self._over = True
        return decoded[0]

    def _authenticated(self) -> socks5.Reply | NeedData:
        self._outgoing += socks5.encode_request(self._request)
        self._expects = self._replied
        return self._replied()

    def _replied(self) -> socks5.Reply | NeedData:
        decoded = socks5.decode_reply(self._buffer)
        if decoded is NEED_DATA:
            return NEED_DATA
        self._take(decoded[1])
        self._replies_due -= 1
        self._over = not self._replies_due or decoded[0].code is not ReplyCode.SUCCEEDED
        return decoded[0]


class Socks6Client(ClientConnection):
    """SOCKSv6: request, authentication reply, operation reply; a second operation reply to a BIND.

    Data may follow `open()` at once (false start), initial data where the request announces them. Credentials are used
    when the proxy demands them behind the request; in a `UserPasswordData` option they save a round trip. After a
    successful UDP ASSOCIATE every message of the association is an event.
    """

    def __init__(
        self, request: dialect.Request, credentials: UserPassword | None = None, spoken: Dialect = DRAFT_11
    ) -> None:
        super().__init__()
        self._request = request
        self._credentials = credentials
        self._dialect = spoken
        self._walk = spoken.begin_message()
        self._expects = self._authentication
        self._replies_due = 2 if request.command is Command.BIND else 1
        self._first_reply = True

    def open(self) -> bytes:
        return self._dialect.encode_request(self._request)

    def receive(self, data: bytes) -> Socks6Event | NeedData:
        return self._read(data, self._expects)

    def receive_end(self) -> None:
        if self._first_reply and bytes(self._buffer) == self._dialect.version_mismatch():
            raise VersionMismatchError("the proxy answered that it does not speak this version")
        super().receive_end()

    def send_udp(self, message: udp.Datagram) -> bytes:
        """A datagram over the TCP connection of the association."""
        if self._expects != self._udp:
            raise LocalProtocolError("there is no UDP association")
        return udp.encode_udp(message, self._dialect.version)

    def _authentication(self) -> Socks6Event | NeedData:
        decoded = self._dialect.decode_authentication(self._buffer, self._walk)
        if decoded is NEED_DATA:
            return NEED_DATA
        reply, end = decoded
        method = self._dialect.demanded(reply)
        self._take(end)
        self._walk = self._dialect.begin_message()
        if method == AuthenticationMethod.USER_PASSWORD and self._credentials is not None and self._first_reply:
            self._first_reply = False
            self._outgoing = rfc1929.encode_user_password(self._credentials)
            self._expects = self._judged
            return self._judged()
        self._first_reply = False
        self._expects = self._operation
        self._over = not self._dialect.is_success(reply)
        return reply

    def _judged(self) -> Socks6Event | NeedData:
        """Behind an RFC 1929 status comes the second authentication reply, which says the same and more."""
        decoded = rfc1929.decode_status(self._buffer)
        if decoded is NEED_DATA:
            return NEED_DATA
        self._take(decoded[1])
        self._expects = self._authentication
        return self._authentication()

    def _operation(self) -> Socks6Event | NeedData:
        decoded = self._dialect.decode_operation(self._buffer, self._walk)
        if decoded is NEED_DATA:
            return NEED_DATA
        reply, end = decoded
        self._take(end)
        self._walk = self._dialect.begin_message()
        self._replies_due -= 1
        succeeded = reply.code is ReplyCode.SUCCEEDED
        if succeeded and self._request.command is Command.UDP_ASSOCIATE and self._dialect.udp_messages:
            self._expects = self._udp
        else:
            self._over = not self._replies_due or not succeeded
        return reply

    def _udp(self) -> Socks6Event | NeedData:
        decoded = udp.decode_udp(self._buffer, self._dialect.version)
        if decoded is NEED_DATA:
            return NEED_DATA
        self._take(decoded[1])
        return decoded[0]
