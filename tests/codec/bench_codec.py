"""How long the codec takes for a message. Not part of the tests: `invoke bench-codec` runs it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from socket import AF_INET, inet_ntop
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from codec import socks5
from codec.address import Address
from codec.command import Command
from codec.errors import NEED_DATA
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.server import ServerConnection
from codec.socks6 import wire
from codec.socks6.messages import Request
from codec.socks6.option import Option, Place
from codec.socks6.option_list import decode_options, encode_options
from codec.socks6.options import IdempotenceExpenditure, SessionId
from codec.socks6.stack import Leg, Multipath, TcpFastOpen, Tos

REMOTE = Leg.PROXY_REMOTE
HOST = Address.of("192.0.2.1")
OPTIONS: tuple[Option, ...] = (
    Multipath(REMOTE, wanted=True), Tos(REMOTE, 0x2E), TcpFastOpen(REMOTE, 1400),
    SessionId(b"12345678"), IdempotenceExpenditure(77),
)  # fmt: skip
REQUESTS = {
    "plain": Request(Command.CONNECT, HOST, 443),
    "by-name": Request(Command.CONNECT, Address.of("www.example.com"), 443),
    "five-options": Request(Command.CONNECT, HOST, 443, OPTIONS),
}
EVERY_REQUEST = pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
EVERY_OPTION = pytest.mark.parametrize("option", OPTIONS, ids=[type(option).__name__ for option in OPTIONS])

HEADER = struct.Struct(">BBHHBB")
PLAIN = wire.encode_request(REQUESTS["plain"])
SOCKS5_GREETING = socks5.encode_greeting(socks5.Greeting(bytes((AuthenticationMethod.NONE,))))
SOCKS5_REQUEST = socks5.encode_request(socks5.Request(Command.CONNECT, HOST, 443))


def test_reference(benchmark: BenchmarkFixture) -> None:
    """The floor: the fields of a plain CONNECT and nothing else, no check, no message."""
    unpack, octets = HEADER.unpack_from, PLAIN
    assert benchmark(lambda: (unpack(octets), inet_ntop(AF_INET, octets[8:12])))[1] == HOST.host


@EVERY_REQUEST
def test_decode(benchmark: BenchmarkFixture, request_: Request) -> None:
    octets = wire.encode_request(request_)
    assert benchmark(wire.decode_request, octets) == (request_, len(octets))


@EVERY_REQUEST
def test_encode(benchmark: BenchmarkFixture, request_: Request) -> None:
    octets = benchmark(wire.encode_request, request_)
    assert wire.decode_request(octets) == (request_, len(octets))


@EVERY_OPTION
def test_decode_option(benchmark: BenchmarkFixture, option: Option) -> None:
    octets = encode_options((option,), Place.REQUEST)
    assert benchmark(decode_options, octets, Place.REQUEST) == (option,)


def converse_in_socks5() -> bytes:
    server = ServerConnection()
    server.receive(SOCKS5_GREETING)
    server.send_method(AuthenticationMethod.NONE)
    server.receive(SOCKS5_REQUEST)
    server.leftover()
    return server.send_reply(ReplyCode.SUCCEEDED, HOST, 4000)


def converse_in_socks6() -> bytes:
    server = ServerConnection()
    server.receive(PLAIN)
    server.leftover()
    return server.send_reply(ReplyCode.SUCCEEDED, HOST, 4000)


CONVERSATIONS: dict[str, tuple[Callable[[], bytes], Callable[[bytes], Any]]] = {
    "socks5": (converse_in_socks5, socks5.decode_reply),
    "socks6": (converse_in_socks6, lambda octets: wire.decode_operation_reply(octets[4:])),
}


@pytest.mark.parametrize("version", CONVERSATIONS)
def test_server(benchmark: BenchmarkFixture, version: str) -> None:
    """From the first octet of a CONNECT to the reply."""
    converse, decode_reply = CONVERSATIONS[version]
    decoded = decode_reply(benchmark(converse))
    assert decoded is not NEED_DATA
    assert decoded[0].code is ReplyCode.SUCCEEDED
