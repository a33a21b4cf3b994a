"""However its octets come, a message costs work in proportion to its length. Calls and copied octets are counted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from codec import client, server
from codec.address import Address
from codec.client import Socks6Client
from codec.command import Command
from codec.errors import NEED_DATA
from codec.reply import ReplyCode
from codec.server import ServerConnection
from codec.socks6 import messages, udp, wire
from codec.socks6.dialect import DRAFT_04
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import wire as wire04
from codec.socks6.option import RawOption

HOST = Address.of("192.0.2.1")
DATAGRAM = udp.encode_udp(udp.Datagram(bytes(8), HOST, 53, b"question"))
Feed = Callable[[bytes], object]


def calls(work: Callable[[], object]) -> int:
    """How many functions are called in it, those written in C too."""
    counted = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


def trickle(receive: Feed, octets: bytes) -> None:
    for octet in octets[:-1]:
        assert receive(bytes((octet,))) is NEED_DATA
    assert receive(octets[-1:]) is not NEED_DATA


def request(number: int) -> bytes:
    options = tuple(RawOption(0x1000 + index, b"") for index in range(number))
    return wire.encode_request(messages.Request(Command.CONNECT, HOST, 80, options))


def reply(number: int) -> bytes:
    options = tuple(RawOption(0x1000 + index, b"") for index in range(number))
    reply_ = messages.AuthenticationReply(messages.AuthenticationType.SUCCESS, options)
    return wire.encode_authentication_reply(reply_)


def new_server() -> Feed:
    return ServerConnection().receive


def new_client() -> Feed:
    return Socks6Client(messages.Request(Command.CONNECT, HOST, 80)).receive


@pytest.mark.parametrize(
    ("machine", "message", "number"),
    [(new_server, request, 1000), (new_client, reply, 1000)],
)
def test_twice_as_many_options_octet_by_octet_take_twice_as_many_calls(
    machine: Callable[[], Feed], message: Callable[[int], bytes], number: int
) -> None:
    once = calls(lambda: trickle(machine(), message(number)))
    twice = calls(lambda: trickle(machine(), message(2 * number)))
    assert twice < 2.2 * once


class Counting(bytearray):
    """A bytearray that counts the octets copied into it and out of it, and how often it was read."""

    copied = 0
    reads = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        Counting.copied += len(self)

    def __iadd__(self, more: Any) -> Any:  # type: ignore[misc]
        Counting.copied += len(more)
        return super().__iadd__(more)

    def __getitem__(self, key: Any) -> Any:
        Counting.reads += 1
        found = super().__getitem__(key)
        if isinstance(key, slice):
            Counting.copied += len(found)
        return found


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    for module in (server, client):
        monkeypatch.setattr(module, "bytearray", Counting, raising=False)
    monkeypatch.setattr(Counting, "copied", 0)
    return Counting


def option_lists_of_draft04(number: int) -> dict[str, bytes]:
    options = tuple(RawOption(0x80 + index % 64, b"") for index in range(number))
    replied = messages04.OperationReply(ReplyCode.SUCCEEDED, HOST, 80, 0, options)
    return {
        "request": wire04.encode_request(messages04.Request(Command.CONNECT, HOST, 80, 0, options)),
        "authentication": wire04.encode_authentication_reply(
            messages04.AuthenticationReply(messages04.AuthenticationType.SUCCESS, options=options)
        ),
        "operation": wire04.encode_operation_reply(replied),
    }


def receiver_of_draft04(kind: str) -> Feed:
    if kind == "request":
        return ServerConnection({6: DRAFT_04}).receive
    user = Socks6Client(messages04.Request(Command.CONNECT, HOST, 80), spoken=DRAFT_04)
    if kind == "operation":
        user.receive(option_lists_of_draft04(0)["authentication"])
    return user.receive


@pytest.mark.parametrize("kind", ["request", "authentication", "operation"])
def test_headers_of_options_of_draft04_are_read_once_however_they_trickle_in(
    kind: str, counting: type[Counting]
) -> None:
    def reads(number: int) -> int:
        counting.reads = 0
        trickle(receiver_of_draft04(kind), option_lists_of_draft04(number)[kind])
        return counting.reads

    assert 120 < reads(120) < reads(240) < 2.2 * reads(120)


@pytest.mark.parametrize(("machine", "message"), [(new_server, request(4000)), (new_client, reply(4000))])
def test_octets_of_a_message_that_trickles_in_are_copied_a_few_times_each(
    machine: Callable[[], Feed], message: bytes, counting: type[Counting]
) -> None:
    trickle(machine(), message)
    assert len(message) - 1 <= counting.copied <= 4 * len(message)


def test_octets_of_many_messages_at_hand_are_copied_a_few_times_each(counting: type[Counting]) -> None:
    associate = messages.Request(Command.UDP_ASSOCIATE, HOST, 0)
    proxy, user = ServerConnection(), Socks6Client(associate)
    proxy.receive(wire.encode_request(associate))
    user.receive_reply(proxy.send_reply(ReplyCode.SUCCEEDED))
    stream = DATAGRAM * 2000
    for receive in (proxy.receive, user.receive):
        counting.copied = 0
        taken, event = 0, receive(stream)
        while event is not NEED_DATA:
            taken, event = taken + 1, receive(b"")
        assert taken == 2000
        assert len(stream) <= counting.copied <= 4 * len(stream)
