"""The proxy's side of a SOCKS conversation, sans-IO: one listener, every version, told apart by the first octet.

Feed what arrives to `receive` and act on the event it returns; the `send_*` methods return octets to send. After a
request the conversation is the caller's: `leftover` hands over what the client sent behind it (false start).

    SOCKS 5   Greeting -> send_method -> socks5.Request -> send_reply
    SOCKSv6                              socks6.Request -> send_reply (with the authentication reply in front)
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TypeAlias

from codec import socks5
from codec.address import ANY_IPV4, Address
from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.socks6 import messages as socks6
from codec.socks6 import wire
from codec.socks6.options import Options

Request: TypeAlias = socks5.Request | socks6.Request
Event: TypeAlias = socks5.Greeting | Request


class State(Enum):
    """What comes next."""

    FIRST_OCTET = auto()
    GREETING = auto()
    METHOD_CHOICE = auto()
    SOCKS5_REQUEST = auto()
    SOCKS6_REQUEST = auto()
    SOCKS5_REPLY = auto()
    SOCKS6_REPLY = auto()
    REPLIED = auto()
    BROKEN = auto()


_METHOD_SELECTIONS = {
    method: socks5.encode_method_selection(socks5.MethodSelection(method)) for method in AuthenticationMethod
}
_AUTHENTICATED = wire.encode_authentication_reply(socks6.AuthenticationReply(socks6.AuthenticationType.SUCCESS))


class ServerConnection:
    """One client. Holds no more than one message and what came in the same `receive` behind it."""

    __slots__ = ("_buffer", "state")

    def __init__(self) -> None:
        self.state = State.FIRST_OCTET
        self._buffer = b""

    def receive(self, data: bytes) -> Event | NeedData:
        """Take octets (none to look for a further event in those at hand); return the event they complete.

        Raises `RemoteProtocolError`, with the reply to send before closing.
        """
        buffer = self._buffer = self._buffer + data if self._buffer else data
        try:
            return self._next_event(buffer)
        except RemoteProtocolError:
            self.state = State.BROKEN
            self._buffer = b""
            raise

    def send_method(self, method: AuthenticationMethod) -> bytes:
        """Answer a SOCKS 5 greeting."""
        if self.state is not State.METHOD_CHOICE:
            raise LocalProtocolError(f"no method can be chosen in state {self.state.name}")
        self.state = State.BROKEN if method is AuthenticationMethod.NONE_ACCEPTABLE else State.SOCKS5_REQUEST
        return _METHOD_SELECTIONS[method]

    def send_reply(self, code: ReplyCode, address: Address = ANY_IPV4, port: int = 0, options: Options = ()) -> bytes:
        """Answer a request; `options` go to SOCKSv6 clients only."""
        state, self.state = self.state, State.REPLIED
        if state is State.SOCKS5_REPLY:
            return socks5.encode_reply(socks5.Reply(code, address, port))
        if state is State.SOCKS6_REPLY:
            return _AUTHENTICATED + wire.encode_operation_reply(socks6.OperationReply(code, address, port, options))
        self.state = state
        raise LocalProtocolError(f"there is no request to answer in state {state.name}")

    def leftover(self) -> bytes:
        """The octets that came behind the request, once: a second call returns nothing."""
        if self.state not in _REQUEST_TAKEN:
            raise LocalProtocolError(f"the octets at hand are not data yet in state {self.state.name}")
        data, self._buffer = self._buffer, b""
        return data

    def _next_event(self, buffer: bytes) -> Event | NeedData:
        if self.state is State.FIRST_OCTET:
            if not buffer:
                return NEED_DATA
            self.state = _first_state(buffer)
        if self.state is State.SOCKS5_REQUEST:
            return self._taken(socks5.decode_request(buffer), State.SOCKS5_REPLY)
        if self.state is State.GREETING:
            return self._taken(socks5.decode_greeting(buffer), State.METHOD_CHOICE)
        if self.state is State.SOCKS6_REQUEST:
            return self._taken(wire.decode_request(buffer), State.SOCKS6_REPLY)
        raise LocalProtocolError(f"nothing is to be received in state {self.state.name}")

    def _taken(self, decoded: tuple[Event, int] | NeedData, then: State) -> Event | NeedData:
        if decoded is NEED_DATA:
            return NEED_DATA
        event, end = decoded
        self._buffer = self._buffer[end:]
        self.state = then
        return event


_REQUEST_TAKEN = frozenset({State.SOCKS5_REPLY, State.SOCKS6_REPLY, State.REPLIED})


def _first_state(buffer: bytes) -> State:
    if buffer[0] == socks5.VERSION:
        return State.GREETING
    if buffer[0] == socks6.VERSION:
        return State.SOCKS6_REQUEST
    # Both are common mistakes in a browser's or a tool's settings: name them.
    guess = ": this looks like TLS" if buffer[0] == 0x16 else ": this looks like HTTP" if buffer[:1].isalpha() else ""
    mismatch = wire.encode_version_mismatch(socks6.VersionMismatch())
    raise RemoteProtocolError(f"unknown version octet {buffer[0]}{guess}", mismatch)
