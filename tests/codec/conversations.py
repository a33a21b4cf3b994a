"""A client and a proxy that talk to each other, with the streams between them cut at will."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from codec.client import ClientConnection
from codec.client import Event as ClientEvent
from codec.errors import NEED_DATA, LocalProtocolError
from codec.server import Event as ServerEvent
from codec.server import ServerConnection, State
from codec.socks6.dialect import DEFAULT_DIALECTS, Dialects

Cuts = Collection[int]
"""Positions in a stream, in octets, that no piece of it extends over."""
EVERYWHERE: Cuts = range(2**20)
HANDED_OVER = frozenset({State.OPERATION_REPLY, State.REPLIED})


@dataclass(frozen=True)
class Conversation:
    """What both sides say, and the events that it makes."""

    client: Callable[[], ClientConnection]
    answers: tuple[Callable[[ServerConnection], bytes], ...]
    """What the proxy says, one answer to each event."""
    server_events: tuple[ServerEvent, ...]
    client_events: tuple[ClientEvent, ...]
    remarks: tuple[Callable[[Any], bytes], ...] = ()
    """What the client says to each event beside what it says by itself; nothing where there is none."""
    dialects: Dialects = field(default_factory=lambda: DEFAULT_DIALECTS)
    initial_data: bytes = b""
    """Sent right behind the client's first message."""
    last_message: bytes = b""
    """How the client's last message ends; `false_start` follows it at once."""
    false_start: bytes = b""
    remote_data: bytes = b""
    """Sent right behind the proxy's last answer."""


@dataclass(frozen=True)
class Outcome:
    """What each side made of what it was sent, and all that was sent."""

    server_events: tuple[ServerEvent, ...]
    client_events: tuple[ClientEvent, ...]
    server_data: bytes
    client_data: bytes
    to_server: bytes
    to_client: bytes


class Stream:
    """Octets on their way in one direction."""

    def __init__(self, cuts: Cuts = ()) -> None:
        self.sent = b""
        self._cuts = cuts
        self._read = 0

    def piece(self) -> bytes:
        """What has come since the last one, up to the next cut."""
        start = self._read
        self._read = next((cut for cut in range(start + 1, len(self.sent)) if cut in self._cuts), len(self.sent))
        return self.sent[start : self._read]


def converse(conversation: Conversation, server_cuts: Cuts = (), client_cuts: Cuts = ()) -> Outcome:
    """Have them talk until both are silent. `server_cuts` are those of the stream to the server."""
    to_server, to_client = Stream(server_cuts), Stream(client_cuts)
    proxy, user = Proxy(conversation, to_client), User(conversation, to_server)
    while True:
        request, answer = to_server.piece(), to_client.piece()
        if request:
            proxy.receive(request)
        if answer:
            user.receive(answer)
        if not request and not answer:
            return Outcome(
                tuple(proxy.events), tuple(user.events), proxy.data, user.data, to_server.sent, to_client.sent
            )


class Proxy:
    """The server's machine and who drives it: takes pieces of a stream, and hands over what is data."""

    def __init__(self, conversation: Conversation, stream: Stream) -> None:
        self.events: list[ServerEvent] = []
        self.data = b""
        self._conversation = conversation
        self._stream = stream
        self._connection = ServerConnection(conversation.dialects)

    def receive(self, piece: bytes) -> None:
        if self._connection.state in HANDED_OVER:
            self.data += piece
        elif self._connection.state is not State.BROKEN:
            self._converse(piece)

    def _converse(self, piece: bytes) -> None:
        connection, conversation = self._connection, self._conversation
        event = connection.receive(piece)
        while event is not NEED_DATA:
            self._stream.sent += conversation.answers[len(self.events)](connection)
            self.events.append(event)
            if connection.state is State.BROKEN:
                return
            if connection.state in HANDED_OVER:
                self.data += connection.leftover()
                self._stream.sent += conversation.remote_data
                return
            event = connection.receive(b"")


class User:
    """The client's machine and who drives it: takes pieces of a stream, and hands over what is data."""

    def __init__(self, conversation: Conversation, stream: Stream) -> None:
        self.events: list[ClientEvent] = []
        self.data = b""
        self._conversation = conversation
        self._stream = stream
        self._connection = conversation.client()
        self._is_over = False
        self._send(self._connection.open() + conversation.initial_data)

    def receive(self, piece: bytes) -> None:
        if self._is_over:
            self.data += piece
            return
        event = self._connection.receive(piece)
        self._send(self._connection.outgoing())
        while event is not NEED_DATA:
            remarks = self._conversation.remarks[len(self.events) :]
            self.events.append(event)
            if remarks:
                self._send(remarks[0](self._connection))
            try:
                self.data += self._connection.leftover()
            except LocalProtocolError:  # more messages are to come
                event = self._connection.receive(b"")
            else:
                self._is_over = True
                return

    def _send(self, data: bytes) -> None:
        self._stream.sent += data
        if data and self._stream.sent.endswith(self._conversation.last_message):
            self._stream.sent += self._conversation.false_start
