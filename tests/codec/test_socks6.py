"""The messages of SOCKSv6 draft-11 but for their options: what the vectors leave open."""

from __future__ import annotations

import pytest

from codec.address import Address, AddressType
from codec.command import Command
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError, VersionMismatchError
from codec.reply import ReplyCode
from codec.socks6 import wire
from codec.socks6.messages import AuthenticationReply, AuthenticationType, OperationReply, Request, VersionMismatch

HOST = Address.of("192.0.2.1")


def decoded_request(octets: str) -> Request:
    decoded = wire.decode_request(bytes.fromhex(octets))
    assert decoded is not NEED_DATA
    return decoded[0]


@pytest.mark.parametrize(
    ("host", "address_type", "field"),
    [
        ("192.0.2.1", 1, "c0000201"),
        ("2001:db8::1", 4, "20010db8000000000000000000000001"),
        ("a", 3, "01 61 0000"),
        ("ab", 3, "02 6162 00"),
        ("abc", 3, "03 616263"),
        ("abcd", 3, "04 61626364 000000"),
        ("n" * 255, 3, "ff" + "6e" * 255),
    ],
)
def test_addresses_are_padded_and_the_padding_not_counted(host: str, address_type: int, field: str) -> None:
    request = Request(Command.CONNECT, Address.of(host), 443)
    octets = bytes.fromhex(f"06 01 0000 01bb 00 {address_type:02x} {field}")
    assert wire.encode_request(request) == octets
    assert wire.decode_request(octets) == (request, len(octets))


def test_a_counted_padding_is_understood() -> None:
    assert decoded_request("06 01 0000 01bb 00 03 03 616200").address == Address.of("ab")
    assert decoded_request("06 01 0000 01bb 00 03 07 61626364 000000").address == Address.of("abcd")


def test_a_name_keeps_octets_beyond_ascii() -> None:
    name = Address(AddressType.DOMAIN_NAME, "b\udcc3\udcbccher.example")
    octets = wire.encode_request(Request(Command.CONNECT, name, 80))
    assert "bücher.example".encode() in octets
    assert decoded_request(octets.hex()).address == name


@pytest.mark.parametrize("field", ["00 000000", "03 610062", "03 000000"])
def test_empty_names_and_names_with_a_nul_inside_are_refused(field: str) -> None:
    with pytest.raises(RemoteProtocolError, match="domain name") as caught:
        wire.decode_request(bytes.fromhex("06 01 0000 0050 00 03" + field))
    assert caught.value.reply == wire.refusal(ReplyCode.GENERAL_FAILURE)


@pytest.mark.parametrize(
    ("octet", "command"),
    [(0, Command.NOOP), (1, Command.CONNECT), (2, Command.BIND), (3, Command.UDP_ASSOCIATE), (9, 9), (255, 255)],
)
def test_a_command_that_is_unknown_stays_a_number(octet: int, command: Command | int) -> None:
    decoded = decoded_request(f"06 {octet:02x} 0000 0000 00 01 00000000")
    assert decoded.command == command
    assert type(decoded.command) is type(command)


def test_padding_is_not_looked_at() -> None:
    assert decoded_request("06 01 0000 0050 ff 01 c0000201") == Request(Command.CONNECT, HOST, 80)


@pytest.mark.parametrize("nowhere", ["0.0.0.0", "::", "0:0:0:0:0:0:0:0"])
def test_a_noop_goes_nowhere(nowhere: str) -> None:
    kind = AddressType.IPV6 if ":" in nowhere else AddressType.IPV4
    assert wire.encode_request(Request(Command.NOOP, Address(kind, nowhere), 0))[:2] == b"\x06\0"


@pytest.mark.parametrize("code", ReplyCode)
def test_every_reply_code(code: ReplyCode) -> None:
    octets = bytes((6, code)) + bytes.fromhex("0000 0fa0 00 01 c0000201")
    assert wire.encode_operation_reply(OperationReply(code, HOST, 4000)) == octets
    assert wire.decode_operation_reply(octets) == (OperationReply(code, HOST, 4000), 12)


def test_an_unassigned_reply_code_reads_as_a_general_failure() -> None:
    reply = OperationReply(ReplyCode.GENERAL_FAILURE)
    assert wire.decode_operation_reply(bytes.fromhex("06 63 0000 0000 00 01 00000000")) == (reply, 12)


def test_a_failure_is_told_behind_a_successful_authentication_with_zeros_for_an_address() -> None:
    assert wire.refusal(ReplyCode.NOT_ALLOWED) == bytes.fromhex("06 00 0000" + "06 02 0000 0000 00 01 00000000")
    assert wire.refusal(ReplyCode.NOT_ALLOWED, 0xCF)[::4][:2] == b"\xcf\xcf"


def test_options_over_the_limit_are_refused_before_they_have_come() -> None:
    with pytest.raises(RemoteProtocolError, match="16388"):
        wire.decode_request(bytes.fromhex("06 01 4004 0050 00 01"))
    with pytest.raises(RemoteProtocolError, match="16388"):
        wire.decode_authentication_reply(bytes.fromhex("06 00 4004"))
    with pytest.raises(RemoteProtocolError, match="16388"):
        wire.decode_operation_reply(bytes.fromhex("06 00 4004 0000 00 01"))


def test_an_unknown_address_type_is_answered_with_its_own_code_as_soon_as_it_is_seen() -> None:
    assert wire.decode_request(bytes.fromhex("06 01 0000 0050 00")) is NEED_DATA
    with pytest.raises(RemoteProtocolError) as caught:
        wire.decode_request(bytes.fromhex("06 01 0000 0050 00 02"))
    assert caught.value.reply == wire.refusal(ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED)


def test_a_request_of_another_version_is_answered_with_one_octet() -> None:
    with pytest.raises(VersionMismatchError) as caught:
        wire.decode_request(b"\x07")
    assert caught.value.reply == b"\x06"
    with pytest.raises(VersionMismatchError) as caught:
        wire.decode_request(b"\x06", 0xCF)
    assert caught.value.reply == b"\xcf"


def test_a_version_mismatch_reply_is_a_prefix_of_an_authentication_reply() -> None:
    assert wire.encode_version_mismatch(VersionMismatch()) == b"\x06"
    assert wire.decode_version_mismatch(b"\x06") == (VersionMismatch(), 1)
    assert wire.decode_version_mismatch(b"") is NEED_DATA
    assert wire.decode_authentication_reply(b"\x06") is NEED_DATA


def test_replies_of_another_version_or_type_are_refused() -> None:
    for decode in (wire.decode_version_mismatch, wire.decode_authentication_reply, wire.decode_operation_reply):
        with pytest.raises(VersionMismatchError, match="version 5"):
            decode(b"\x05")
    with pytest.raises(RemoteProtocolError, match="type 2"):
        wire.decode_authentication_reply(b"\x06\x02\0\0")


@pytest.mark.parametrize(
    "impossible",
    [
        Request(Command.CONNECT, Address(AddressType.DOMAIN_NAME, ""), 80),
        Request(Command.CONNECT, Address(AddressType.DOMAIN_NAME, "a" * 256), 80),
        Request(Command.CONNECT, Address(AddressType.DOMAIN_NAME, "a\0b"), 80),
        Request(Command.CONNECT, Address(AddressType.DOMAIN_NAME, "bücher.example"), 80),
        Request(Command.CONNECT, Address(AddressType.IPV4, "::1"), 80),
        Request(Command.CONNECT, Address(AddressType.IPV6, "a\0b"), 80),
        Request(Command.CONNECT, HOST, 65536),
        Request(Command.CONNECT, HOST, -1),
        Request(256, HOST, 80),
        Request(Command.NOOP, HOST, 0),
        Request(Command.NOOP, Address.of("::"), 1),
        Request(Command.NOOP, Address(AddressType.DOMAIN_NAME, "::"), 0),
    ],
)
def test_what_cannot_be_sent_is_our_own_error(impossible: Request) -> None:
    with pytest.raises(LocalProtocolError):
        wire.encode_request(impossible)


def test_a_version_that_is_no_octet_cannot_be_sent() -> None:
    with pytest.raises(LocalProtocolError):
        wire.encode_version_mismatch(VersionMismatch(256))
    with pytest.raises(LocalProtocolError):
        wire.encode_authentication_reply(AuthenticationReply(AuthenticationType.SUCCESS), 256)
    with pytest.raises(LocalProtocolError):
        wire.encode_operation_reply(OperationReply(ReplyCode.SUCCEEDED), -1)


def test_addresses_are_told_apart_by_their_spelling() -> None:
    assert Address.of("192.0.2.1").type is AddressType.IPV4
    assert Address.of("2001:DB8::0:1") == Address(AddressType.IPV6, "2001:db8::1")
    assert Address.of("example.com").type is AddressType.DOMAIN_NAME
    assert Address.of("192.0.2").type is AddressType.DOMAIN_NAME
    assert Address.of("a\0b").type is AddressType.DOMAIN_NAME
