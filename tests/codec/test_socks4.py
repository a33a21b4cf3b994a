"""SOCKS 4 and 4a wire form, against the layouts of the memos."""

from __future__ import annotations

import pytest

from codec import socks4
from codec.address import Address, AddressType
from codec.command import Command
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError
from codec.socks4 import Reply, Request, ResultCode

HOST = Address.of("192.0.2.1")
NAME = Address.of("example.com")
REQUESTS = {
    "0401" + "0050" + "c0000201" + "00": Request(Command.CONNECT, HOST, 80),
    "0402" + "0015" + "c0000201" + "6672656400": Request(Command.BIND, HOST, 21, b"fred"),
    "0401" + "01bb" + "00000001" + "00" + "6578616d706c652e636f6d00": Request(Command.CONNECT, NAME, 443),
    "0401" + "01bb" + "00000001" + "6672656400" + "6578616d706c652e636f6d00": Request(
        Command.CONNECT, NAME, 443, b"fred"
    ),
    "0402" + "0000" + "00000000" + "00": Request(Command.BIND, Address.of("0.0.0.0"), 0),
    "0463" + "0050" + "c0000201" + "00": Request(0x63, HOST, 80),
}
FOUR_A = bytes.fromhex("0401" + "0050" + "00000001")
REFUSAL = bytes.fromhex("005b" + "0000" + "00000000")


@pytest.mark.parametrize("octets", REQUESTS)
def test_requests(octets: str) -> None:
    assert socks4.encode_request(REQUESTS[octets]) == bytes.fromhex(octets)
    assert socks4.decode_request(bytes.fromhex(octets)) == (REQUESTS[octets], len(octets) // 2)


def test_any_address_that_starts_with_three_zeros_announces_a_name() -> None:
    octets = b"\x04\x01\x00\x50\x00\x00\x00\xfe" + b"\0" + b"example.com\0"
    assert socks4.decode_request(octets) == (Request(Command.CONNECT, NAME, 80), len(octets))


def test_a_name_beyond_ascii_is_sent_on_as_it_came() -> None:
    octets = FOUR_A + b"\0" + b"\xff\xe9.example\0"
    decoded = socks4.decode_request(octets)
    assert decoded is not NEED_DATA
    assert socks4.encode_request(decoded[0]) == octets


def test_a_command_that_only_later_versions_know_stays_a_number() -> None:
    decoded = socks4.decode_request(b"\x04\x03\x00\x50\xc0\x00\x02\x01\x00")
    assert decoded is not NEED_DATA
    assert not isinstance(decoded[0].command, Command)


def test_a_user_id_and_a_name_may_have_255_octets() -> None:
    longest = Request(Command.CONNECT, Address(AddressType.DOMAIN_NAME, "n" * 255), 80, b"u" * 255)
    octets = FOUR_A + b"u" * 255 + b"\0" + b"n" * 255 + b"\0"
    assert socks4.encode_request(longest) == octets
    assert socks4.decode_request(octets[:-1]) is NEED_DATA
    assert socks4.decode_request(octets) == (longest, len(octets))


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (b"\x05", "version 5"),
        (FOUR_A + b"u" * 256, "user id of more than 255"),
        (FOUR_A + b"\0" + b"n" * 256, "domain name of more than 255"),
        (FOUR_A + b"\0\0", "empty"),
    ],
)
def test_bad_requests_are_refused_with_a_reply_as_soon_as_seen(octets: bytes, what: str) -> None:
    assert socks4.decode_request(octets[:-1]) is NEED_DATA
    with pytest.raises(RemoteProtocolError, match=what) as caught:
        socks4.decode_request(octets)
    assert caught.value.reply == socks4.refusal() == REFUSAL


@pytest.mark.parametrize(
    "impossible",
    [
        Request(Command.CONNECT, Address.of("2001:db8::1"), 80),
        Request(Command.CONNECT, Address.of("0.0.0.7"), 80),
        Request(Command.CONNECT, Address(AddressType.IPV4, "example.com"), 80),
        Request(Command.CONNECT, Address(AddressType.DOMAIN_NAME, "n" * 256), 80),
        Request(Command.CONNECT, Address(AddressType.DOMAIN_NAME, ""), 80),
        Request(Command.CONNECT, Address(AddressType.DOMAIN_NAME, "a\0b"), 80),
        Request(Command.CONNECT, HOST, 80, b"u" * 256),
        Request(Command.CONNECT, HOST, 80, b"fr\0ed"),
        Request(Command.CONNECT, HOST, 0x10000),
        Request(Command.CONNECT, HOST, -1),
        Request(0x100, HOST, 80),
    ],
)
def test_requests_that_cannot_be_sent(impossible: Request) -> None:
    with pytest.raises(LocalProtocolError):
        socks4.encode_request(impossible)


@pytest.mark.parametrize("code", ResultCode)
def test_replies(code: ResultCode) -> None:
    octets = bytes((0, code)) + bytes.fromhex("0050c0000201")
    assert socks4.encode_reply(Reply(code, HOST, 80)) == octets
    assert socks4.decode_reply(octets) == (Reply(code, HOST, 80), 8)


def test_a_reply_may_name_any_ipv4_address_and_no_other() -> None:
    octets = socks4.encode_reply(Reply(ResultCode.GRANTED, Address.of("0.0.0.7"), 80))
    assert socks4.decode_reply(octets) == (Reply(ResultCode.GRANTED, Address.of("0.0.0.7"), 80), 8)
    for address in (NAME, Address.of("2001:db8::1")):
        with pytest.raises(LocalProtocolError, match="not IPv4"):
            socks4.encode_reply(Reply(ResultCode.GRANTED, address, 80))


def test_an_unassigned_result_code_reads_as_rejected_or_failed() -> None:
    assert socks4.decode_reply(b"\0\x5e" + bytes(6)) == (Reply(ResultCode.REJECTED_OR_FAILED), 8)


def test_a_reply_that_starts_with_the_version_of_the_protocol_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="version 4"):
        socks4.decode_reply(b"\x04")
