"""SOCKSv6 wire details that the vectors leave open."""

from __future__ import annotations

import pytest

from codec.address import Address, AddressType
from codec.command import Command
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError
from codec.reply import ReplyCode
from codec.socks6 import messages as socks6
from codec.socks6 import stack, wire
from codec.socks6.option import RawOption
from codec.socks6.option_list import LARGEST_OPTIONS, decode_options, encode_options, find_option

REMOTE = stack.Leg.PROXY_REMOTE
HOST = Address.of("192.0.2.1")


def request_with(options: bytes) -> bytes:
    return bytes.fromhex("0601") + len(options).to_bytes(2, "big") + bytes.fromhex("01bb0001c0000201") + options


def decoded_options(octets: bytes) -> object:
    decoded = wire.decode_request(request_with(octets))
    assert decoded is not NEED_DATA
    return decoded[0].options


def test_a_name_is_padded_and_the_padding_not_counted() -> None:
    octets = wire.encode_request(socks6.Request(Command.CONNECT, Address.of("ab"), 80))
    assert octets[8:] == b"\x02ab\0"


def test_a_name_keeps_octets_beyond_ascii() -> None:
    name = Address(AddressType.DOMAIN_NAME, "b\udcc3\udcbccher.example")
    octets = wire.encode_request(socks6.Request(Command.CONNECT, name, 80))
    assert "bücher.example".encode() in octets
    decoded = wire.decode_request(octets)
    assert decoded is not NEED_DATA
    assert decoded[0].address == name


@pytest.mark.parametrize("field", ["00000000", "03610062", "03000000"])
def test_empty_names_and_names_with_a_nul_inside_are_refused(field: str) -> None:
    with pytest.raises(RemoteProtocolError, match="domain name"):
        wire.decode_request(bytes.fromhex("0601000000500003" + field))


def test_an_unknown_command_decodes() -> None:
    decoded = wire.decode_request(bytes.fromhex("060900000050000101020304"))
    assert decoded is not NEED_DATA
    assert decoded[0].command == 9


def test_options_over_the_limit_are_refused_before_they_have_come() -> None:
    with pytest.raises(RemoteProtocolError, match="16388"):
        wire.decode_request(bytes.fromhex("0601400400500001"))
    with pytest.raises(LocalProtocolError, match="16388"):
        encode_options((RawOption(9, bytes(LARGEST_OPTIONS)),))


def test_the_largest_options_are_taken() -> None:
    option = RawOption(0xFC00, bytes(LARGEST_OPTIONS - 4))
    assert decoded_options(encode_options((option,))) == (option,)


@pytest.mark.parametrize("options", ["00050003", "0005000600000000", "00050008", "0005"])
def test_an_option_whose_length_makes_no_sense_is_refused_with_a_reply(options: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        wire.decode_request(request_with(bytes.fromhex(options)))
    assert caught.value.reply == wire.refusal(ReplyCode.GENERAL_FAILURE)


def test_an_unknown_address_type_is_answered_with_its_own_code() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        wire.decode_request(bytes.fromhex("0601000000500002"))
    assert caught.value.reply == wire.refusal(ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED)


def test_another_version_is_answered_with_one_octet() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        wire.decode_request(b"\x07")
    assert caught.value.reply == b"\x06"


@pytest.mark.parametrize(
    "body",
    ["84020300", "44020200", "00020200", "84090000", "c4020200", "85020300", "85020002", "8402020000000000"],
)
def test_a_stack_option_that_makes_no_sense_is_kept_raw(body: str) -> None:
    option = RawOption(stack.STACK_KIND, bytes.fromhex(body))
    assert decoded_options(encode_options((option,))) == (option,)


def test_equal_options_collapse() -> None:
    option = stack.Multipath(REMOTE, wanted=True)
    assert decode_options(encode_options((option, option))) == (option,)


def test_options_that_contradict_each_other_are_dropped_and_their_neighbours_kept() -> None:
    yes, no = stack.Multipath(REMOTE, wanted=True), stack.Multipath(REMOTE, wanted=False)
    both, one = stack.Tos(stack.Leg.BOTH, 8), stack.Tos(stack.Leg.CLIENT_PROXY, 16)
    ttl, raw = stack.Ttl(REMOTE, 8), RawOption(77, b"")
    assert decode_options(encode_options((yes, ttl, no, both, raw, one))) == (ttl, raw)


def test_the_same_value_on_overlapping_legs_is_no_contradiction() -> None:
    options = (stack.Tos(stack.Leg.BOTH, 8), stack.Tos(stack.Leg.CLIENT_PROXY, 8))
    assert decode_options(encode_options(options)) == options


def test_an_option_is_found_by_its_type() -> None:
    options = (RawOption(77, b""), stack.Multipath(REMOTE, wanted=True))
    assert find_option(options, stack.Multipath) == options[1]
    assert find_option(options, stack.Tos) is None


def test_a_raw_option_must_be_aligned_to_be_sent() -> None:
    with pytest.raises(LocalProtocolError, match="multiple of 4"):
        encode_options((RawOption(77, b"abc"),))


def test_replies_of_another_version_or_type_are_refused() -> None:
    for octets in (b"\x05\0\0\0", b"\x06\x02\0\0"):
        with pytest.raises(RemoteProtocolError):
            wire.decode_authentication_reply(octets)
    with pytest.raises(RemoteProtocolError):
        wire.decode_operation_reply(b"\x05")


def test_an_unassigned_reply_code_reads_as_a_general_failure() -> None:
    decoded = wire.decode_operation_reply(bytes.fromhex("066300000000000100000000"))
    assert decoded is not NEED_DATA
    assert decoded[0].code is ReplyCode.GENERAL_FAILURE


@pytest.mark.parametrize(
    "request_",
    [
        socks6.Request(Command.CONNECT, Address(AddressType.DOMAIN_NAME, ""), 80),
        socks6.Request(Command.CONNECT, Address(AddressType.DOMAIN_NAME, "a" * 256), 80),
        socks6.Request(Command.CONNECT, Address(AddressType.DOMAIN_NAME, "a\0b"), 80),
        socks6.Request(Command.CONNECT, Address(AddressType.IPV4, "::1"), 80),
        socks6.Request(Command.CONNECT, HOST, 65536),
    ],
)
def test_what_cannot_be_sent_is_our_own_error(request_: socks6.Request) -> None:
    with pytest.raises(LocalProtocolError):
        wire.encode_request(request_)


def test_addresses_are_told_apart_by_their_spelling() -> None:
    assert Address.of("192.0.2.1").type is AddressType.IPV4
    assert Address.of("2001:DB8::0:1") == Address(AddressType.IPV6, "2001:db8::1")
    assert Address.of("example.com").type is AddressType.DOMAIN_NAME
