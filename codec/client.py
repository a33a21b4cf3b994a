"""The client's side of a SOCKS conversation, sans-IO, without authentication.

Send `open()`, then feed what arrives to `receive` and send what `outgoing` gives, until the reply is returned.
`leftover` hands over what the remote host sent behind it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from codec import socks5
from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError
from codec.method import AuthenticationMethod
from codec.socks6 import messages as socks6
from codec.socks6 import wire


class ClientConnection(ABC):
    """What both versions share: the octets at hand, and handing them over once."""

    def __init__(self) -> None:
        self._buffer = b""
        self._outgoing = b""
        self._replied = False

    @abstractmethod
    def open(self) -> bytes:
        """The first octets to send."""

    @abstractmethod
    def receive(self, data: bytes) -> socks5.Reply | socks6.OperationReply | NeedData:
        """Take octets; return the reply once it is whole. Raises `RemoteProtocolError`."""

    def receive_end(self) -> None:
        """The proxy closed before its reply: raises what that means."""
        raise RemoteProtocolError("the proxy closed the connection before its reply")

    def outgoing(self) -> bytes:
        """What is to be sent now, once."""
        data, self._outgoing = self._outgoing, b""
        return data

    def leftover(self) -> bytes:
        """The octets behind the reply, once."""
        if not self._replied:
            raise LocalProtocolError("the octets at hand are not data before the reply")
        data, self._buffer = self._buffer, b""
        return data


class Socks5Client(ClientConnection):
    """SOCKS 5: greeting, method selection, request, reply."""

    def __init__(self, request: socks5.Request) -> None:
        super().__init__()
        self._request = request
        self._method_chosen = False

    def open(self) -> bytes:
        return socks5.encode_greeting(socks5.Greeting(bytes((AuthenticationMethod.NONE,))))

    def receive(self, data: bytes) -> socks5.Reply | NeedData:
        self._buffer += data
        if not self._method_chosen:
            selected = socks5.decode_method_selection(self._buffer)
            if selected is NEED_DATA:
                return NEED_DATA
            if selected[0].method != AuthenticationMethod.NONE:
                raise RemoteProtocolError("the proxy demands authentication")
            self._buffer = self._buffer[selected[1] :]
            self._method_chosen = True
            self._outgoing = socks5.encode_request(self._request)
        decoded = socks5.decode_reply(self._buffer)
        if decoded is NEED_DATA:
            return NEED_DATA
        self._buffer = self._buffer[decoded[1] :]
        self._replied = True
        return decoded[0]


class Socks6Client(ClientConnection):
    """SOCKSv6: request, authentication reply, operation reply. Data may follow `open()` at once (false start)."""

    def __init__(self, request: socks6.Request) -> None:
        super().__init__()
        self._request = request
        self._authenticated = False

    def open(self) -> bytes:
        return wire.encode_request(self._request)

    def receive(self, data: bytes) -> socks6.OperationReply | NeedData:
        self._buffer += data
        if not self._authenticated:
            authentication = wire.decode_authentication_reply(self._buffer)
            if authentication is NEED_DATA:
                return NEED_DATA
            if authentication[0].type is not socks6.AuthenticationType.SUCCESS:
                raise RemoteProtocolError("the proxy demands authentication")
            self._buffer = self._buffer[authentication[1] :]
            self._authenticated = True
        decoded = wire.decode_operation_reply(self._buffer)
        if decoded is NEED_DATA:
            return NEED_DATA
        self._buffer = self._buffer[decoded[1] :]
        self._replied = True
        return decoded[0]

    def receive_end(self) -> None:
        if not self._authenticated and self._buffer == bytes((socks6.VERSION,)):
            raise RemoteProtocolError("the proxy answered that it does not speak this version")
        super().receive_end()
