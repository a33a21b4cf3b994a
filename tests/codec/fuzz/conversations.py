"""What must hold for both sides of a conversation, however its octets are split and whatever is asked of them.

An input is a script of `SCRIPT` octets, which says how this side behaves, and the stream that the other one sends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from codec import socks4, socks5
from codec.address import ANY_IPV4, Address
from codec.client import ClientConnection, Socks4Client, Socks5Client, Socks6Client
from codec.command import Command
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.rfc1929 import UserPassword
from codec.server import ServerConnection, State
from codec.socks6 import messages, udp
from codec.socks6.dialect import DRAFT_04, DRAFT_11, Dialects
from codec.socks6.draft04 import messages as messages04
from tests.codec.fuzz.decoders import FILLERS, refusal

SCRIPT = 8
FLOODS = tuple(filler * 2**17 for filler in FILLERS)
"""More than any message with its initial data: whoever still waits after it would wait, and keep octets, forever."""
TRICKLE = 600
"""Octets: longer streams are not fed one by one."""
DIALECTS: tuple[Dialects, ...] = ({6: DRAFT_11}, {6: DRAFT_04})
METHODS = (AuthenticationMethod.NONE, AuthenticationMethod.USER_PASSWORD, AuthenticationMethod.NONE_ACCEPTABLE)
COMMANDS = (Command.CONNECT, Command.BIND, Command.UDP_ASSOCIATE)
CODES = (ReplyCode.SUCCEEDED, ReplyCode.TIMED_OUT)
NAME = Address.of("example.com")
LEAST_DATAGRAM = udp.Datagram(bytes(8), ANY_IPV4, 0)
DATA_STATES = {State.SOCKS4_REPLY, State.SOCKS5_REPLY, State.SOCKS6_REPLY, State.OPERATION_REPLY, State.REPLIED}


@dataclass(slots=True)
class Transcript:
    """What became of a stream. It must not depend on how the stream was split."""

    events: list[Any] = field(default_factory=list)
    sent: bytes = b""
    data: bytes = b""
    """What was handed over as data behind the conversation."""
    error: str = ""


def pieces(script: bytes, stream: bytes) -> Iterator[bytes]:
    """The stream, cut as the script says."""
    start = turn = 0
    while start < len(stream):
        end = start + 1 + script[turn % len(script)]
        yield stream[start:end]
        start, turn = end, turn + 1


def splits(script: bytes, stream: bytes) -> Iterator[list[bytes]]:
    """The ways to send a stream: as a whole first."""
    yield [stream]
    yield list(pieces(script, stream))
    if len(stream) <= TRICKLE:
        yield [stream[at : at + 1] for at in range(len(stream))]


def check_server(data: bytes) -> None:
    """A proxy that answers as the script says understands the same at every split, and hands over data once."""
    script, stream = _script(data)
    whole, *others = [_serve(script, split) for split in splits(script, stream)]
    for other in others:
        assert other == whole, f"split it is {other}, whole {whole}"
    talked = any(isinstance(event, UserPassword) for event in whole.events)
    assert talked or stream.endswith(whole.data), f"{whole.data.hex()} are not the octets behind the request"


def _serve(script: bytes, split: list[bytes]) -> Transcript:
    server = ServerConnection(DIALECTS[script[0] % 2])
    transcript = Transcript()
    answers = True
    try:
        for piece in split:
            if answers:
                answers = _serve_piece(server, script, piece, transcript)
            elif server.state in DATA_STATES:
                transcript.data += piece
        if answers:
            assert server.receive(FLOODS[script[4] % 2]) is not NEED_DATA, f"it waits forever in {server.state.name}"
    except RemoteProtocolError as error:
        transcript.error = refusal(error) if answers else ""
    return transcript


def _serve_piece(server: ServerConnection, script: bytes, piece: bytes, transcript: Transcript) -> bool:
    """Take a piece and answer every event in it. Returns whether there is more to receive."""
    event = server.receive(piece)
    while event is not NEED_DATA:
        transcript.events.append(event)
        transcript.sent += b"".join(_answers(server, script, event))
        if server.state in DATA_STATES:
            transcript.data += server.leftover()
            assert server.leftover() == b"", "data are handed over twice"
            return False
        if server.state is State.BROKEN:
            return False
        event = server.receive(b"")
    return True


def _answers(server: ServerConnection, script: bytes, event: Any) -> Iterator[bytes]:
    """What the script has the proxy send after an event."""
    method, success, code = METHODS[script[1] % 3], script[2] % 4 > 0, CODES[script[3] % 2]
    if isinstance(event, udp.Datagram):
        yield server.send_udp(event)
        return
    if server.state is State.METHOD_CHOICE or (
        server.state is State.SOCKS6_REPLY and method is not AuthenticationMethod.NONE
    ):
        yield server.send_method(method)
    if server.state in (State.VERDICT, State.LATE_VERDICT):
        yield server.send_authentication(success)
    for _ in range(2):  # a BIND is answered twice
        if server.state in DATA_STATES - {State.REPLIED}:
            yield server.send_reply(code)


def check_calls(data: bytes) -> None:
    """Whatever is asked of a server, and when: it refuses and is as before, or does it; broken, it stays so."""
    script, stream = _script(data, 3 * SCRIPT)
    server = ServerConnection(DIALECTS[script[0] % 2])
    fed = handed = 0
    for turn in script:
        state, size = server.state, turn >> 3
        try:
            if turn % 8 < 4:
                fed, piece = fed + size, stream[fed : fed + size]
                server.receive(piece)
            else:
                handed += _call(server, turn)
        except LocalProtocolError:
            assert server.state is state, "it refused, and changed"
        except RemoteProtocolError:
            assert server.state is State.BROKEN, "the peer erred, and it goes on"
        else:
            assert state is not State.BROKEN, "it goes on after an error"
        assert handed <= fed, "data are handed over twice"


def _call(server: ServerConnection, turn: int) -> int:
    """One call to the server. Returns the number of octets that were handed over as data."""
    match turn % 8:
        case 4:
            server.send_method(METHODS[(turn >> 3) % 3])
        case 5:
            server.send_authentication(turn >> 3 > 0)
        case 6:
            server.send_reply(CODES[turn >> 7], NAME if turn >> 3 & 1 else ANY_IPV4, 80)
            return 0
        case _ if turn >> 7:
            server.send_udp(LEAST_DATAGRAM)
        case _:
            return len(server.leftover())
    return 0


def check_client(data: bytes) -> None:
    """A client understands the same at every split, and hands over data once."""
    script, stream = _script(data)
    whole, *others = [_request(script, split) for split in splits(script, stream)]
    for other in others:
        assert other == whole, f"split it is {other}, whole {whole}"
    assert stream.endswith(whole.data), f"{whole.data.hex()} are not the octets behind the reply"
    client = _client(script)
    client.open()
    try:
        reply = client.receive_reply(stream)
    except RemoteProtocolError:
        return
    assert reply is NEED_DATA or reply in whole.events, f"{reply} is none of {whole.events}"


def _client(script: bytes) -> ClientConnection:
    credentials = UserPassword(b"user", b"password") if script[1] % 2 else None
    command = COMMANDS[script[2] % 3]
    match script[0] % 4:
        case 0:
            return Socks4Client(socks4.Request(command, NAME, 80))
        case 1:
            return Socks5Client(socks5.Request(command, NAME, 80), credentials)
        case 2:
            return Socks6Client(messages.Request(command, NAME, 80), credentials, DRAFT_11)
    return Socks6Client(messages04.Request(command, NAME, 80), credentials, DRAFT_04)


def _request(script: bytes, split: list[bytes]) -> Transcript:
    client = _client(script)
    transcript = Transcript(sent=client.open())
    waits = True
    try:
        for piece in split:
            if waits:
                waits = _request_piece(client, piece, transcript)
            else:
                transcript.data += piece
        if waits:
            assert client.receive(FLOODS[script[4] % 2]) is not NEED_DATA, "it waits forever"
    except RemoteProtocolError as error:
        transcript.error = refusal(error)
        transcript.sent += client.outgoing()
    return transcript


def _request_piece(client: ClientConnection, piece: bytes, transcript: Transcript) -> bool:
    """Take a piece with every event in it. Returns whether there is more to receive."""
    event = client.receive(piece)
    while event is not NEED_DATA:
        transcript.events.append(event)
        transcript.sent += client.outgoing()
        try:
            transcript.data += client.leftover()
        except LocalProtocolError:
            event = client.receive(b"")
        else:
            assert client.leftover() == b"", "data are handed over twice"
            return False
    transcript.sent += client.outgoing()
    return True


def _script(data: bytes, size: int = SCRIPT) -> tuple[bytes, bytes]:
    return data[:size].ljust(size, b"\0"), data[size:]


CONVERSATIONS = {"server": check_server, "calls": check_calls, "client": check_client}
