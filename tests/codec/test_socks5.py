"""SOCKS 5 wire form, against the layouts of RFC 1928."""

from __future__ import annotations

import pytest

from codec import socks5
from codec.address import Address
from codec.command import Command
from codec.errors import RemoteProtocolError
from codec.reply import ReplyCode

REQUESTS = {
    "05010001c00002010050": socks5.Request(Command.CONNECT, Address.of("192.0.2.1"), 80),
    "05020004" + "20010db8000000000000000000000001" + "01bb": socks5.Request(
        Command.BIND, Address.of("2001:db8::1"), 443
    ),
    "050300030b6578616d706c652e636f6d0035": socks5.Request(Command.UDP_ASSOCIATE, Address.of("example.com"), 53),
    "05630001c00002010050": socks5.Request(0x63, Address.of("192.0.2.1"), 80),
}


@pytest.mark.parametrize("octets", REQUESTS)
def test_requests(octets: str) -> None:
    assert socks5.encode_request(REQUESTS[octets]) == bytes.fromhex(octets)
    assert socks5.decode_request(bytes.fromhex(octets)) == (REQUESTS[octets], len(octets) // 2)


def test_a_greeting_lists_methods() -> None:
    assert socks5.decode_greeting(b"\x05\x02\x00\x02rest") == (socks5.Greeting(b"\x00\x02"), 4)


def test_a_timeout_is_said_as_host_unreachable() -> None:
    assert socks5.encode_reply(socks5.Reply(ReplyCode.TIMED_OUT)) == bytes.fromhex("05040001000000000000")


def test_an_unassigned_reply_code_reads_as_a_general_failure() -> None:
    decoded = socks5.decode_reply(bytes.fromhex("05090001000000000000"))
    assert decoded == (socks5.Reply(ReplyCode.GENERAL_FAILURE), 10)


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        ("05010002", ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED),
        ("0501000200", ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED),
        ("05010003000050", ReplyCode.GENERAL_FAILURE),
        ("0501000303610062" + "0050", ReplyCode.GENERAL_FAILURE),
        ("04", ReplyCode.GENERAL_FAILURE),
    ],
)
def test_bad_requests_are_refused_with_a_reply(octets: str, code: ReplyCode) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        socks5.decode_request(bytes.fromhex(octets))
    assert caught.value.reply == socks5.encode_reply(socks5.Reply(code))


def test_messages_of_another_version_are_refused() -> None:
    for decode in (socks5.decode_greeting, socks5.decode_method_selection, socks5.decode_reply):
        with pytest.raises(RemoteProtocolError, match="version 4"):
            decode(b"\x04\x01")
