"""The proxy's side of a SOCKS conversation, sans-IO: one listener, every version, told apart by the first octet.

Feed what arrives to `receive` and act on the event it returns; the `send_*` methods return octets to send. Once the
request needs no more talk the conversation is the caller's: `leftover` hands over what the client sent behind it.

    SOCKS 4   Request                                             -> send_reply
    SOCKS 5   Greeting -> send_method [-> UserPassword -> send_authentication] -> Request -> send_reply
    SOCKSv6   Request [-> send_method -> UserPassword] [-> send_authentication] -> send_reply

After a successful BIND a second `send_reply` is due; after a successful UDP ASSOCIATE of SOCKSv6 `receive` goes on with
datagrams, and `send_udp` answers.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum, auto
from typing import TypeAlias

from codec import rfc1929, socks4, socks5
from codec.address import ANY_IPV4, Address, AddressType
from codec.command import Command
from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError, VersionMismatchError
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.socks6 import dialect, messages, udp
from codec.socks6.dialect import DEFAULT_DIALECTS, DRAFT_11, Dialect, Dialects
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04.option_list import Walk
from codec.socks6.option_list import Options, find_option
from codec.socks6.options import UserPasswordResult

Request: TypeAlias = socks4.Request | socks5.Request | dialect.Request
Event: TypeAlias = socks5.Greeting | rfc1929.UserPassword | Request | udp.Datagram
Decoded: TypeAlias = tuple[Event, int] | NeedData


class State(IntEnum):
    """What comes next. An IntEnum, since those are looked up as fast as integers are."""

    FIRST_OCTET = auto()
    GREETING = auto()
    METHOD_CHOICE = auto()
    CREDENTIALS = auto()
    """SOCKS 5: the request comes after the user name and password."""
    VERDICT = auto()
    SOCKS4_REQUEST = auto()
    SOCKS5_REQUEST = auto()
    SOCKS6_REQUEST = auto()
    SOCKS4_REPLY = auto()
    SOCKS5_REPLY = auto()
    SOCKS6_REPLY = auto()
    """An authentication reply, or an operation reply with a successful one in front."""
    LATE_CREDENTIALS = auto()
    """SOCKSv6: initial data, user name and password come behind the request."""
    LATE_VERDICT = auto()
    OPERATION_REPLY = auto()
    DATAGRAMS = auto()
    REPLIED = auto()
    BROKEN = auto()


# Before Python 3.12 attributes of an enum take several times as long to look up as globals do, and these are needed for
# every connection.
_FIRST_OCTET, _GREETING, _REPLIED = State.FIRST_OCTET, State.GREETING, State.REPLIED
_SOCKS6_REQUEST, _SOCKS5_REPLY, _SOCKS6_REPLY = State.SOCKS6_REQUEST, State.SOCKS5_REPLY, State.SOCKS6_REPLY
_OPERATION_REPLY = State.OPERATION_REPLY
_SUCCEEDED = ReplyCode.SUCCEEDED
_BIND, _UDP_ASSOCIATE = Command.BIND, Command.UDP_ASSOCIATE

_METHOD_SELECTIONS = {
    method: socks5.encode_method_selection(socks5.MethodSelection(method)) for method in AuthenticationMethod
}
_REPLY_STATES = frozenset({State.SOCKS4_REPLY, State.SOCKS5_REPLY, State.SOCKS6_REPLY, State.OPERATION_REPLY})
_RECEIVING = frozenset({
    State.FIRST_OCTET, State.GREETING, State.CREDENTIALS, State.SOCKS4_REQUEST, State.SOCKS5_REQUEST,
    State.SOCKS6_REQUEST, State.LATE_CREDENTIALS, State.DATAGRAMS,
})  # fmt: skip
_DECODERS: dict[State, tuple[Callable[[bytes | bytearray], Decoded], State]] = {
    State.GREETING: (socks5.decode_greeting, State.METHOD_CHOICE),
    State.CREDENTIALS: (rfc1929.decode_user_password, State.VERDICT),
    State.SOCKS4_REQUEST: (socks4.decode_request, State.SOCKS4_REPLY),
    State.SOCKS5_REQUEST: (socks5.decode_request, State.SOCKS5_REPLY),
}
_REQUESTS = (socks5.Request, messages.Request, socks4.Request, messages04.Request)
_DATA_STATES = _REPLY_STATES | {State.REPLIED}


class ServerConnection:
    """One client. Holds no more than one message, initial data, and what came in the same `receive` behind them.

    `dialects` says by version octet which SOCKSv6 is spoken.
    """

    __slots__ = (
        "_buffer", "_command", "_dialect", "_dialects", "_early", "_handed_over", "_initial", "_walk", "state",
    )  # fmt: skip

    def __init__(self, dialects: Dialects = DEFAULT_DIALECTS) -> None:
        self.state = _FIRST_OCTET
        self._buffer: bytes | bytearray = b""
        self._dialects = dialects
        self._dialect: Dialect = DRAFT_11
        self._walk: Walk | None = None
        self._command: Command | int = Command.NOOP
        self._initial = 0
        """Octets of initial data that the client announced."""
        self._early = b""
        """Initial data that stood before a negotiation."""
        self._handed_over = False
        """Whether the octets behind the request are with the caller: a negotiation would miss its initial data."""

    @property
    def dialect(self) -> Dialect:
        """The SOCKSv6 that the client speaks, once its first octet has come."""
        return self._dialect

    def receive(self, data: bytes) -> Event | NeedData:
        """Take octets (none to look for a further event in those at hand); return the event they complete.

        Raises `RemoteProtocolError`, with the reply to send before closing.
        """
        if self.state not in _RECEIVING:
            raise self._out_of_turn("nothing is to be received")
        buffer = self._gather(data) if self._buffer else data
        if not buffer:
            return NEED_DATA
        try:
            decoded, then = self._decode(buffer)
        except RemoteProtocolError:
            self.state = State.BROKEN
            self._buffer = b""
            raise
        if decoded is NEED_DATA:
            self._buffer = buffer
            return NEED_DATA
        event, end = decoded
        self._buffer = b"" if end == len(buffer) else _behind(buffer, end, then)
        self.state = then
        if isinstance(event, _REQUESTS):
            self._command = event.command
        return event

    def send_method(self, method: AuthenticationMethod) -> bytes:
        """Choose a method: in SOCKS 5 in answer to a greeting, in SOCKSv6 when a request is not good enough as it is.

        Then `receive` waits for a user name and password, for the request (after `NONE`, SOCKS 5 only), or the client
        must close.
        """
        if method not in _CHOICES:
            raise LocalProtocolError(f"{method.name} cannot be negotiated here")
        if self.state is State.METHOD_CHOICE:
            self.state = _AFTER_SOCKS5_CHOICE[method]
            return _METHOD_SELECTIONS[method]
        if self.state is State.SOCKS6_REPLY and method is not AuthenticationMethod.NONE and not self._handed_over:
            negotiates = method is AuthenticationMethod.USER_PASSWORD
            self.state = State.LATE_CREDENTIALS if negotiates else State.BROKEN
            return self._dialect.demand(method)
        raise self._out_of_turn("no method can be chosen")

    def send_authentication(self, success: bool, options: Options = ()) -> bytes:
        """Say what became of a user name and password, or, in SOCKSv6, of the request; `options` for SOCKSv6 only."""
        status = rfc1929.encode_status(rfc1929.UserPasswordStatus(success))
        if self.state is State.VERDICT:
            self.state = State.SOCKS5_REQUEST if success else State.BROKEN
            return status
        if self.state not in (State.SOCKS6_REPLY, State.LATE_VERDICT):
            raise self._out_of_turn("there is nothing to authenticate")
        is_late = self.state is State.LATE_VERDICT
        by_password = is_late or find_option(options, UserPasswordResult) is not None
        octets = self._dialect.authentication(success, options, by_password=by_password)
        if is_late:
            octets = status + octets
        self.state = State.OPERATION_REPLY if success else State.BROKEN
        return octets

    def send_reply(self, code: ReplyCode, address: Address = ANY_IPV4, port: int = 0, options: Options = ()) -> bytes:
        """Answer a request, a second time when a BIND has its peer; `options` go to SOCKSv6 clients only."""
        state = self.state
        if state is _SOCKS6_REPLY or state is _OPERATION_REPLY:
            octets = self._dialect.operation(code, address, port, options, self._initial)
            if state is _SOCKS6_REPLY:
                octets = self._dialect.authenticated + octets
        elif state is _SOCKS5_REPLY:
            octets = socks5.encode_reply(socks5.Reply(code, address, port))
        elif state is State.SOCKS4_REPLY:
            octets = _socks4_reply(code, address, port)
        else:
            raise self._out_of_turn("there is no request to answer")
        self.state = self._after_reply(code)
        return octets

    def send_udp(self, message: udp.UdpMessage) -> bytes:
        """A message of a SOCKSv6 UDP association, over its TCP connection."""
        if self.state is not State.DATAGRAMS:
            raise self._out_of_turn("there is no UDP association")
        return udp.encode_udp(message, self._dialect.version)

    def leftover(self) -> bytes:
        """What the client sent behind its request, initial data first, once: a second call returns nothing new."""
        if self.state not in _DATA_STATES:
            raise self._out_of_turn("the octets at hand are not data")
        data = self._early + self._buffer
        self._early = self._buffer = b""
        self._handed_over = True
        return data

    def _gather(self, data: bytes) -> bytes | bytearray:
        """All octets at hand. Appending to a bytearray keeps a message that trickles in from being copied each time."""
        if data:
            if not isinstance(self._buffer, bytearray):
                self._buffer = bytearray(self._buffer)
            self._buffer += data
        return self._buffer

    def _decode(self, buffer: bytes | bytearray) -> tuple[Decoded, State]:
        """The event at the start of the buffer, if it is whole, and the state behind it."""
        if self.state is _FIRST_OCTET:
            self._recognise(buffer)
        if self.state is _SOCKS6_REQUEST:
            decoded = self._dialect.decode_request(buffer, self._walk)
            if decoded is not NEED_DATA:
                self._initial = self._dialect.initial_data_length(decoded[0])
            return decoded, _SOCKS6_REPLY
        decoder = _DECODERS.get(self.state)
        if decoder is not None:
            decode, then = decoder
            return decode(buffer), then
        if self.state is State.LATE_CREDENTIALS:
            return self._late_credentials(buffer), State.LATE_VERDICT
        return _datagram(udp.decode_udp(buffer, self._dialect.version)), State.DATAGRAMS

    def _recognise(self, buffer: bytes | bytearray) -> None:
        """Tell the version by the first octet."""
        first = buffer[0]
        spoken = self._dialects.get(first)
        if spoken is not None:
            self._dialect = spoken
            self._walk = spoken.begin_message()
            self.state = _SOCKS6_REQUEST
        elif first == socks5.VERSION:
            self.state = _GREETING
        elif first == socks4.VERSION:
            self.state = State.SOCKS4_REQUEST
        else:
            # Both are common mistakes in a browser's or a tool's settings: name them.
            guess = (
                ": this looks like TLS" if first == 0x16 else ": this looks like HTTP" if buffer[:1].isalpha() else ""
            )
            spoken = next(iter(self._dialects.values()), DRAFT_11)
            raise VersionMismatchError(f"unknown version octet {first}{guess}", spoken.version_mismatch())

    def _late_credentials(self, buffer: bytes | bytearray) -> Decoded:
        """Initial data are put aside; what follows them must be an RFC 1929 request."""
        initial = self._initial
        if len(buffer) < initial:
            return NEED_DATA
        try:
            decoded = rfc1929.decode_user_password(buffer[initial:])
        except RemoteProtocolError as error:
            refusal = error.reply + self._dialect.authentication(False)
            raise RemoteProtocolError(str(error), refusal) from None
        if decoded is NEED_DATA:
            return NEED_DATA
        self._early = bytes(buffer[:initial])
        return decoded[0], initial + decoded[1]

    def _after_reply(self, code: ReplyCode) -> State:
        if code is _SUCCEEDED:
            if self._command is _BIND:
                self._command = Command.NOOP
                return _OPERATION_REPLY if self.state is _SOCKS6_REPLY else self.state
            if self._command is _UDP_ASSOCIATE and self.state is not _SOCKS5_REPLY:
                return State.DATAGRAMS if self._dialect.udp_messages else _REPLIED
        return _REPLIED

    def _out_of_turn(self, what: str) -> LocalProtocolError:
        return LocalProtocolError(f"{what} in state {self.state.name}")


_AFTER_SOCKS5_CHOICE = {
    AuthenticationMethod.NONE: State.SOCKS5_REQUEST,
    AuthenticationMethod.USER_PASSWORD: State.CREDENTIALS,
    AuthenticationMethod.NONE_ACCEPTABLE: State.BROKEN,
}
_CHOICES = frozenset(_AFTER_SOCKS5_CHOICE)


def _behind(buffer: bytes | bytearray, end: int, then: State) -> bytes | bytearray:
    """What follows. Of datagrams there may be many at hand: in a bytearray they are not copied for each one taken."""
    if isinstance(buffer, bytes) and then is not State.DATAGRAMS:
        return buffer[end:]
    rest = buffer if isinstance(buffer, bytearray) else bytearray(buffer)
    del rest[:end]
    return rest


def _socks4_reply(code: ReplyCode, address: Address, port: int) -> bytes:
    granted = code is ReplyCode.SUCCEEDED
    result = socks4.ResultCode.GRANTED if granted else socks4.ResultCode.REJECTED_OR_FAILED
    # It can say an IPv4 address only; to most clients of a CONNECT it means nothing.
    return socks4.encode_reply(socks4.Reply(result, address if address.type is AddressType.IPV4 else ANY_IPV4, port))


def _datagram(decoded: tuple[udp.UdpMessage, int] | NeedData) -> tuple[udp.Datagram, int] | NeedData:
    if decoded is NEED_DATA:
        return NEED_DATA
    message, end = decoded
    if not isinstance(message, udp.Datagram):
        raise RemoteProtocolError("a client sends datagrams, and no other UDP message")
    return message, end
