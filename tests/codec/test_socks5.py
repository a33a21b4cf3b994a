"""SOCKS 5 wire form, against the layouts of RFC 1928."""

from __future__ import annotations

import pytest

from codec import socks5
from codec.address import Address, AddressType
from codec.command import Command
from codec.errors import LocalProtocolError, RemoteProtocolError
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode

REQUESTS = {
    "05010001c00002010050": socks5.Request(Command.CONNECT, Address.of("192.0.2.1"), 80),
    "05020004" + "20010db8000000000000000000000001" + "01bb": socks5.Request(
        Command.BIND, Address.of("2001:db8::1"), 443
    ),
    "050300030b6578616d706c652e636f6d0035": socks5.Request(Command.UDP_ASSOCIATE, Address.of("example.com"), 53),
    "05630001c00002010050": socks5.Request(0x63, Address.of("192.0.2.1"), 80),
}
DATAGRAMS = {
    "00000001c00002010035" + "cafe": socks5.Datagram(Address.of("192.0.2.1"), 53, b"\xca\xfe"),
    "00000004" + "20010db8000000000000000000000001" + "0035": socks5.Datagram(Address.of("2001:db8::1"), 53, b""),
    "00008103" + "0b6578616d706c652e636f6d" + "0035" + "00": socks5.Datagram(
        Address.of("example.com"), 53, b"\0", 0x81
    ),
}


@pytest.mark.parametrize("octets", REQUESTS)
def test_requests(octets: str) -> None:
    assert socks5.encode_request(REQUESTS[octets]) == bytes.fromhex(octets)
    assert socks5.decode_request(bytes.fromhex(octets)) == (REQUESTS[octets], len(octets) // 2)


def test_a_greeting_lists_methods() -> None:
    assert socks5.decode_greeting(b"\x05\x02\x00\x02rest") == (socks5.Greeting(b"\x00\x02"), 4)


def test_an_unknown_method_stays_a_number() -> None:
    known = socks5.decode_method_selection(b"\x05\x02")
    unknown = socks5.decode_method_selection(b"\x05\x80")
    assert known == (socks5.MethodSelection(AuthenticationMethod.USER_PASSWORD), 2)
    assert unknown == (socks5.MethodSelection(0x80), 2)


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


@pytest.mark.parametrize("octets", DATAGRAMS)
def test_datagrams(octets: str) -> None:
    assert socks5.encode_datagram(DATAGRAMS[octets]) == bytes.fromhex(octets)
    assert socks5.decode_datagram(bytes.fromhex(octets)) == DATAGRAMS[octets]


def test_the_reserved_octets_of_a_datagram_are_ignored() -> None:
    assert socks5.decode_datagram(bytes.fromhex("dead0001c00002010035")).port == 53


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        ("", "0 octets"),
        ("00000001", "4 octets"),
        ("00000001c000020100", "9 octets"),
        ("000000030b6578616d706c652e636f6d00", "17 octets"),
        ("00000002", "address type 2"),
        ("00000002c00002010035", "address type 2"),
        ("00000003000035", "empty"),
    ],
)
def test_bad_datagrams_are_refused_without_an_answer(octets: str, what: str) -> None:
    with pytest.raises(RemoteProtocolError, match=what) as caught:
        socks5.decode_datagram(bytes.fromhex(octets))
    assert caught.value.reply == b""


def test_what_does_not_fit_in_its_field_cannot_be_sent() -> None:
    host = Address.of("192.0.2.1")
    with pytest.raises(LocalProtocolError, match="256"):
        socks5.encode_greeting(socks5.Greeting(bytes(256)))
    with pytest.raises(LocalProtocolError, match="256"):
        socks5.encode_method_selection(socks5.MethodSelection(256))
    with pytest.raises(LocalProtocolError, match="256"):
        socks5.encode_request(socks5.Request(256, host, 80))
    with pytest.raises(LocalProtocolError, match="65536"):
        socks5.encode_reply(socks5.Reply(ReplyCode.SUCCEEDED, host, 65536))
    with pytest.raises(LocalProtocolError, match="256"):
        socks5.encode_datagram(socks5.Datagram(host, 53, b"", 256))
    with pytest.raises(LocalProtocolError, match="IPV6"):
        socks5.encode_datagram(socks5.Datagram(Address(AddressType.IPV6, "192.0.2.1"), 53, b""))
