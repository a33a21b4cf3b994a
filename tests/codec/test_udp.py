"""The messages of UDP associations, against the layouts of draft-11 "Handling UDP ASSOCIATE"."""

from __future__ import annotations

import pytest

from codec.address import Address, AddressType
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError, VersionMismatchError
from codec.socks6.udp import (
    LARGEST_MESSAGE,
    AssociationConfirmation,
    AssociationInit,
    Datagram,
    DatagramError,
    ErrorCode,
    UdpMessage,
    decode_udp,
    encode_udp,
)

ID = bytes(range(1, 9))
IPV4, IPV6, NAME = Address.of("192.0.2.1"), Address.of("2001:db8::1"), Address.of("example.com")
IPV6_HEX = "20010db8000000000000000000000001"
MESSAGES: dict[str, UdpMessage] = {
    "06 01 000c 0102030405060708": AssociationInit(ID),
    "06 02 000c 0102030405060708": AssociationConfirmation(ID),
    "06 03 0014 0102030405060708 01 00 0035 c0000201": Datagram(ID, IPV4, 53),
    "06 03 0016 0102030405060708 01 00 0035 c0000201 cafe": Datagram(ID, IPV4, 53, b"\xca\xfe"),
    f"06 03 0021 0102030405060708 04 00 ffff {IPV6_HEX} 00": Datagram(ID, IPV6, 65535, b"\0"),
    "06 03 001e 0102030405060708 03 00 0035 0b 6578616d706c652e636f6d 6869": Datagram(ID, NAME, 53, b"hi"),
    "06 03 0015 0102030405060708 03 00 0035 02 6162 00 68": Datagram(ID, Address.of("ab"), 53, b"h"),
    "06 03 0014 0102030405060708 01 00 0000 00000000": Datagram(ID, Address.of("0.0.0.0"), 0),
    "06 04 001c 0102030405060708 01 00 0035 c0000201 01 03 0000 c0000201": DatagramError(
        ID, IPV4, 53, ErrorCode.TTL_EXPIRED, IPV4
    ),
    f"06 04 0028 0102030405060708 01 00 0035 c0000201 04 02 0000 {IPV6_HEX}": DatagramError(
        ID, IPV4, 53, ErrorCode.HOST_UNREACHABLE, IPV6
    ),
    f"06 04 0034 0102030405060708 04 00 0035 {IPV6_HEX} 04 04 0000 {IPV6_HEX}": DatagramError(
        ID, IPV6, 53, ErrorCode.TOO_BIG, IPV6
    ),
}


@pytest.mark.parametrize("octets", MESSAGES)
def test_octets(octets: str) -> None:
    data, message = bytes.fromhex(octets), MESSAGES[octets]
    assert encode_udp(message) == data
    assert decode_udp(data) == (message, len(data))


@pytest.mark.parametrize("octets", MESSAGES)
def test_what_follows_is_left_alone_and_what_is_missing_waited_for(octets: str) -> None:
    data, message = bytes.fromhex(octets), MESSAGES[octets]
    assert decode_udp(data + b"\x06\x03") == (message, len(data))
    for end in range(len(data)):
        assert decode_udp(data[:end]) is NEED_DATA


@pytest.mark.parametrize("octets", MESSAGES)
def test_another_version_octet_is_sent_and_insisted_on(octets: str) -> None:
    data = b"\xcf" + bytes.fromhex(octets)[1:]
    assert encode_udp(MESSAGES[octets], 0xCF) == data
    assert decode_udp(data, 0xCF) == (MESSAGES[octets], len(data))
    for strange in (data, data[:1]):
        with pytest.raises(VersionMismatchError, match="207"):
            decode_udp(strange)


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_code(code: ErrorCode) -> None:
    message = DatagramError(ID, IPV4, 53, code, IPV4)
    assert encode_udp(message)[21] == code
    assert decode_udp(encode_udp(message)) == (message, 28)


def test_the_padding_of_a_name_may_be_counted() -> None:
    data = bytes.fromhex("06 03 0014 0102030405060708 03 00 0035 03 6162 00")
    assert decode_udp(data) == (Datagram(ID, Address.of("ab"), 53), 20)


def test_padding_is_not_looked_at() -> None:
    data = bytes.fromhex("06 03 0014 0102030405060708 01 ff 0035 c0000201")
    assert decode_udp(data) == (Datagram(ID, IPV4, 53), 20)
    data = bytes.fromhex("06 04 001c 0102030405060708 01 ff 0035 c0000201 01 03 ffff c0000201")
    assert decode_udp(data) == (DatagramError(ID, IPV4, 53, ErrorCode.TTL_EXPIRED, IPV4), 28)


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        ("06 00 000c 0102030405060708", "unknown type 0"),
        ("06 05 000c 0102030405060708", "unknown type 5"),
        ("06 01 000b 0102030405060708", "bad length of 11"),
        ("06 01 000d 0102030405060708", "bad length of 13"),
        ("06 02 000d 0102030405060708", "bad length of 13"),
        ("06 03 000b 0102030405060708", "bad length of 11"),
        ("06 04 0000 0102030405060708", "bad length of 0"),
        ("06 03 000c 0102030405060708", "without an address"),
        ("06 03 000f 0102030405060708 01 00 00", "without an address"),
        ("06 03 0010 0102030405060708 01 00 0035", "cut off"),
        ("06 03 0010 0102030405060708 03 00 0035", "cut off"),
        ("06 03 0013 0102030405060708 01 00 0035 c00002", "cut off"),
        ("06 03 0014 0102030405060708 04 00 0035 c0000201", "cut off"),
        ("06 03 0013 0102030405060708 03 00 0035 02 6162", "cut off"),
        ("06 03 0014 0102030405060708 03 00 0035 00 000000", "domain name is empty"),
        ("06 03 0014 0102030405060708 03 00 0035 03 610062", "NUL"),
        ("06 03 0014 0102030405060708 02 00 0035 c0000201", "address type 2"),
        ("06 04 0014 0102030405060708 01 00 0035 c0000201", "without a reporter"),
        ("06 04 0018 0102030405060708 01 00 0035 c0000201 01 01 0000", "cut off"),
        ("06 04 001b 0102030405060708 01 00 0035 c0000201 01 01 0000 c00002", "cut off"),
        ("06 04 001d 0102030405060708 01 00 0035 c0000201 01 01 0000 c0000201 00", "bad length"),
        ("06 04 001c 0102030405060708 01 00 0035 c0000201 01 00 0000 c0000201", "unknown code 0"),
        ("06 04 001c 0102030405060708 01 00 0035 c0000201 01 05 0000 c0000201", "unknown code 5"),
        ("06 04 001c 0102030405060708 01 00 0035 c0000201 02 01 0000 c0000201", "address type 2"),
        ("06 04 001c 0102030405060708 03 00 0035 02 616200 01 01 0000 c0000201", "about a name"),
        ("06 04 001c 0102030405060708 01 00 0035 c0000201 03 01 0000 02 616200", "about a name"),
    ],
)
def test_bad_messages_are_refused(octets: str, what: str) -> None:
    with pytest.raises(RemoteProtocolError, match=what):
        decode_udp(bytes.fromhex(octets))


def test_a_length_beyond_the_packet_needs_more() -> None:
    assert decode_udp(bytes.fromhex("06 03 0015 0102030405060708 01 00 0035 c0000201")) is NEED_DATA


def test_a_datagram_may_fill_its_length_field_and_no_more() -> None:
    largest = Datagram(ID, IPV4, 53, bytes(LARGEST_MESSAGE - 20))
    assert decode_udp(encode_udp(largest)) == (largest, 65535)
    with pytest.raises(LocalProtocolError, match="65536 octets"):
        encode_udp(Datagram(ID, IPV4, 53, bytes(LARGEST_MESSAGE - 19)))


@pytest.mark.parametrize(
    "impossible",
    [
        AssociationInit(ID[1:]),
        AssociationConfirmation(ID + b"\0"),
        Datagram(b"", IPV4, 53),
        Datagram(ID, IPV4, 65536),
        Datagram(ID, IPV4, -1),
        Datagram(ID, Address(AddressType.IPV4, "::1"), 53),
        Datagram(ID, Address.of("n" * 256), 53),
        DatagramError(ID, NAME, 53, ErrorCode.TOO_BIG, IPV4),
        DatagramError(ID, IPV4, 53, ErrorCode.TOO_BIG, NAME),
        DatagramError(ID, IPV4, 65536, ErrorCode.TOO_BIG, IPV4),
    ],
)
def test_what_cannot_be_sent(impossible: UdpMessage) -> None:
    with pytest.raises(LocalProtocolError):
        encode_udp(impossible)


def test_a_version_that_is_no_octet_cannot_be_sent() -> None:
    with pytest.raises(LocalProtocolError):
        encode_udp(AssociationInit(ID), 256)
