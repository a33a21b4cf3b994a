"""The dialect of draft-04, against its own text."""

from __future__ import annotations

from typing import Any

import pytest

from codec.address import ANY_IPV4, Address, AddressType
from codec.command import Command
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError, VersionMismatchError
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.socks6 import options as options11
from codec.socks6 import stack as stack11
from codec.socks6.draft04 import options as o
from codec.socks6.draft04 import wire
from codec.socks6.draft04.messages import (
    AuthenticationReply,
    AuthenticationType,
    OperationReply,
    Request,
    VersionMismatch,
)
from codec.socks6.option import Option, Place, RawOption
from codec.socks6.option_list import OptionFault
from codec.socks6.stack import Leg

HOST, IPV6 = Address.of("192.0.2.1"), Address.of("2001:db8::1")
IPV6_HEX = "20010db8000000000000000000000001"
REQUEST, AUTHENTICATION, OPERATION = Place.REQUEST, Place.AUTHENTICATION_REPLY, Place.OPERATION_REPLY
PASSWORD = AuthenticationMethod.USER_PASSWORD
REMOTE, BOTH = Leg.PROXY_REMOTE, Leg.BOTH

REQUESTS = {
    "0600 01 0000 0050 01 c0000201 00": Request(Command.CONNECT, HOST, 80),
    "0600 01 ffff 0050 01 c0000201 00": Request(Command.CONNECT, HOST, 80, 65535),
    f"0600 02 0000 0000 04 {IPV6_HEX} 00": Request(Command.BIND, IPV6, 0),
    "0600 03 0000 0035 03 02 6162 00": Request(Command.UDP_ASSOCIATE, Address.of("ab"), 53),
    "0600 63 0000 0050 01 c0000201 00": Request(0x63, HOST, 80),
    "0600 01 0004 0050 01 c0000201 02 01048401 0203 02": Request(
        Command.CONNECT, HOST, 80, 4, (o.TcpFastOpen(REMOTE), o.AuthenticationMethods((PASSWORD,)))
    ),
}
AUTHENTICATION_REPLIES = {
    "0600 00 00 00": AuthenticationReply(AuthenticationType.SUCCESS),
    "0600 01 02 00": AuthenticationReply(AuthenticationType.MORE_NEEDED, PASSWORD),
    "0600 01 ff 00": AuthenticationReply(AuthenticationType.MORE_NEEDED, AuthenticationMethod.NONE_ACCEPTABLE),
    "0600 00 80 01 0404 03 01": AuthenticationReply(
        AuthenticationType.SUCCESS, 0x80, (o.IdempotenceReply(o.Expenditure.SUCCESS),)
    ),
}
OPERATION_REPLIES = {
    "00 0000 0fa0 01 c0000201 00": OperationReply(ReplyCode.SUCCEEDED, HOST, 4000),
    "00 ffff 0fa0 01 c0000201 01 0104c402": OperationReply(
        ReplyCode.SUCCEEDED, HOST, 4000, 65535, (o.Multipath(BOTH),)
    ),
    "05 0000 0000 01 00000000 00": OperationReply(ReplyCode.CONNECTION_REFUSED),
    "00 0000 0000 03 01 61 00": OperationReply(ReplyCode.SUCCEEDED, Address.of("a")),
}
OPTIONS: list[tuple[str, Place, Option]] = [
    ("01 04 8401", REQUEST, o.TcpFastOpen(REMOTE)),
    ("01 04 c401", OPERATION, o.TcpFastOpen(BOTH)),
    ("01 04 4402", OPERATION, o.Multipath(Leg.CLIENT_PROXY)),
    ("01 05 8403 01", REQUEST, o.MultipathScheduler(REMOTE, o.Scheduler.DEFAULT)),
    ("01 05 8403 03", OPERATION, o.MultipathScheduler(REMOTE, o.Scheduler.REDUNDANT)),
    ("02 02", REQUEST, o.AuthenticationMethods(())),
    ("02 05 02 80 00", REQUEST, o.AuthenticationMethods((PASSWORD, 0x80, AuthenticationMethod.NONE))),
    ("03 08 02 01 01 75 01 70", REQUEST, o.UserPasswordData(b"u", b"p")),
    ("03 05 02 01 00", AUTHENTICATION, o.UserPasswordResult(success=True)),
    ("03 05 02 01 01", AUTHENTICATION, o.UserPasswordResult(success=False)),
    ("04 07 00 7fffffff", REQUEST, o.IdempotenceRequest(options11.LARGEST_WINDOW)),
    ("04 0b 01 ffffffff 00000100", AUTHENTICATION, o.IdempotenceWindow(2**32 - 1, 256)),
    ("04 0b 01 00000000 00000001", OPERATION, o.IdempotenceWindow(0, 1)),
    ("04 07 02 00000009", REQUEST, o.IdempotenceExpenditure(9)),
    ("04 04 03 01", AUTHENTICATION, o.IdempotenceReply(o.Expenditure.SUCCESS)),
    ("04 04 03 04", OPERATION, o.IdempotenceReply(o.Expenditure.DUPLICATE)),
]
BEFORE, BEHIND = RawOption(99, b"x"), RawOption(100, b"")


def request_with(*options: str) -> bytes:
    octets = b"".join(map(bytes.fromhex, options))
    return bytes.fromhex("0600 01 0000 0050 01 c0000201") + bytes((len(options),)) + octets


def decoded_in(place: Place, octets: str) -> tuple[list[Option | RawOption], list[OptionFault]]:
    """What stands in that message between two neighbours that are read whatever it is, and the faults found."""
    faults: list[OptionFault] = []
    options = bytes.fromhex("03" + "630378" + octets + "6402")
    decoded: Any
    if place is REQUEST:
        decoded = wire.decode_request(request_with()[:-1] + options, faults=faults)
    elif place is AUTHENTICATION:
        decoded = wire.decode_authentication_reply(bytes.fromhex("06000000") + options, faults=faults)
    else:
        decoded = wire.decode_operation_reply(bytes.fromhex("00 0000 0000 01 00000000") + options, faults=faults)
    message, _ = decoded
    assert (message.options[0], message.options[-1]) == (BEFORE, BEHIND)
    return list(message.options[1:-1]), faults


def encoded_in(place: Place, option: Option | RawOption) -> bytes:
    """The octets of a message with this option alone, from the count on."""
    if place is REQUEST:
        return wire.encode_request(Request(Command.CONNECT, HOST, 80, options=(option,)))[12:]
    if place is AUTHENTICATION:
        reply = AuthenticationReply(AuthenticationType.SUCCESS, options=(option,))
        return wire.encode_authentication_reply(reply)[4:]
    return wire.encode_operation_reply(OperationReply(ReplyCode.SUCCEEDED, options=(option,)))[10:]


@pytest.mark.parametrize("octets", REQUESTS)
def test_requests(octets: str) -> None:
    data = bytes.fromhex(octets)
    assert wire.encode_request(REQUESTS[octets]) == data
    assert wire.decode_request(data + b"data") == (REQUESTS[octets], len(data))


@pytest.mark.parametrize("octets", AUTHENTICATION_REPLIES)
def test_authentication_replies(octets: str) -> None:
    data = bytes.fromhex(octets)
    assert wire.encode_authentication_reply(AUTHENTICATION_REPLIES[octets]) == data
    assert wire.decode_authentication_reply(data + b"data") == (AUTHENTICATION_REPLIES[octets], len(data))


@pytest.mark.parametrize("octets", OPERATION_REPLIES)
def test_operation_replies(octets: str) -> None:
    data = bytes.fromhex(octets)
    assert wire.encode_operation_reply(OPERATION_REPLIES[octets]) == data
    assert wire.decode_operation_reply(data + b"data") == (OPERATION_REPLIES[octets], len(data))


def test_a_version_mismatch_reply_has_two_octets() -> None:
    assert wire.encode_version_mismatch(VersionMismatch()) == b"\x06\0"
    assert wire.decode_version_mismatch(b"\x06\0") == (VersionMismatch(), 2)
    assert wire.decode_version_mismatch(b"\x06") is NEED_DATA
    assert wire.decode_version_mismatch(b"\xcf\0", 0xCF) == (VersionMismatch(0xCF), 2)


@pytest.mark.parametrize("octets", ["05", "0601", "0500 01"])
def test_both_octets_of_the_version_must_be_right(octets: str) -> None:
    data = bytes.fromhex(octets)
    with pytest.raises(VersionMismatchError) as caught:
        wire.decode_request(data)
    assert caught.value.reply == b"\x06\0"
    for decode in (wire.decode_authentication_reply, wire.decode_version_mismatch):
        with pytest.raises(VersionMismatchError) as caught:
            decode(data)
        assert caught.value.reply == b""


@pytest.mark.parametrize(("octets", "place", "option"), OPTIONS)
def test_options(octets: str, place: Place, option: Option) -> None:
    assert decoded_in(place, octets) == ([option], [])
    assert encoded_in(place, option) == b"\1" + bytes.fromhex(octets)


def test_every_option_is_in_the_table_wherever_it_may_stand() -> None:
    kinds = (*o.OPTIONS, *o.STACK_OPTIONS.values(), *o.IDEMPOTENCE_OPTIONS.values())
    places = {(kind, place) for kind in kinds for place in Place if place in kind.places}
    assert {(type(option), place) for _, place, option in OPTIONS} == places


@pytest.mark.parametrize(("octets", "place", "option"), OPTIONS)
def test_an_option_is_read_and_sent_where_it_belongs_only(octets: str, place: Place, option: Option) -> None:
    for other in Place:
        if other in option.places:
            continue
        with pytest.raises(LocalProtocolError, match=other.title):
            encoded_in(other, option)
        # Authentication data mean something else in the other direction.
        if option.kind is not o.OptionKind.AUTHENTICATION_DATA or other is OPERATION:
            options, [fault] = decoded_in(other, octets)
            assert options == []
            assert other.title in fault.why


@pytest.mark.parametrize(
    ("place", "octets", "why"),
    [
        (REQUEST, "01 02", "without level and code"),
        (REQUEST, "01 03 84", "without level and code"),
        (REQUEST, "01 04 0401", "leg 0"),
        (REQUEST, "01 06 8401 0000", "2 octets where 0 belong"),
        (REQUEST, "01 04 8403", "0 octets where 1 belong"),
        (REQUEST, "01 05 8403 00", "scheduler is 1 to 3"),
        (REQUEST, "01 05 8403 04", "scheduler is 1 to 3"),
        (REQUEST, "03 02", "no method"),
        (REQUEST, "03 06 02 01 01 75", "do not fit"),
        (REQUEST, "03 09 02 01 01 75 01 70 00", "do not fit"),
        (REQUEST, "04 03 00", "0 octets where 4 belong"),
        (REQUEST, "04 07 00 00000000", "size is 1 to"),
        (REQUEST, "04 07 00 80000000", "size is 1 to"),
        (REQUEST, "04 08 02 0000000000", "5 octets where 4 belong"),
        (AUTHENTICATION, "03 06 02 01 00 00", "do not fit"),
        (AUTHENTICATION, "04 0b 01 00000000 00000000", "size is 1 to"),
        (OPERATION, "04 04 03 00", "expenditure is 1 to 4"),
        (OPERATION, "04 04 03 05", "expenditure is 1 to 4"),
    ],
)
def test_a_malformed_option_is_dropped_with_a_note_and_its_neighbours_read(place: Place, octets: str, why: str) -> None:
    options, [fault] = decoded_in(place, octets)
    assert options == []
    assert fault.kind == int(octets[:2], 16)
    assert why in fault.why


@pytest.mark.parametrize("place", Place)
@pytest.mark.parametrize(
    "octets", ["00 02", "05 03 01", "ff 02", "01 04 8404", "01 04 8101", "04 02", "04 03 04", "04 03 ff"]
)
def test_what_is_unknown_is_kept_as_it_came(octets: str, place: Place) -> None:
    data = bytes.fromhex(octets)
    raw = RawOption(data[0], data[2:])
    assert decoded_in(place, octets) == ([raw], [])
    assert encoded_in(place, raw) == b"\1" + data


def test_authentication_data_of_another_method_are_kept_as_they_came() -> None:
    assert decoded_in(REQUEST, "03 04 0301") == ([RawOption(3, b"\3\1")], [])
    assert decoded_in(AUTHENTICATION, "03 04 0301") == ([RawOption(3, b"\3\1")], [])


def test_options_that_contradict_each_other_are_dropped_and_their_neighbours_read() -> None:
    faults: list[OptionFault] = []
    octets = request_with("04 07 02 00000001", "02 03 02", "04 07 02 00000002", "02 03 02")
    decoded = wire.decode_request(octets, faults=faults)
    assert decoded == (Request(Command.CONNECT, HOST, 80, 0, (o.AuthenticationMethods((PASSWORD,)),)), len(octets))
    assert [fault.why for fault in faults] == ["contradicts another one"] * 2
    assert [octets[fault.offset :][:2] for fault in faults] == [b"\x04\x07"] * 2


@pytest.mark.parametrize("octets", ["01 00", "01 01"])
def test_a_length_that_makes_no_sense_refuses_the_message(octets: str) -> None:
    with pytest.raises(RemoteProtocolError, match="bad length") as caught:
        wire.decode_request(request_with(octets))
    assert caught.value.reply == wire.refusal(ReplyCode.GENERAL_FAILURE)


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        ("0600 01 0000 0050 02", ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED),
        ("0600 01 0000 0050 03 00", ReplyCode.GENERAL_FAILURE),
        ("0600 01 0000 0050 03 03 610062", ReplyCode.GENERAL_FAILURE),
    ],
)
def test_a_bad_address_is_answered(octets: str, code: ReplyCode) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        wire.decode_request(bytes.fromhex(octets))
    assert caught.value.reply == wire.refusal(code) == bytes.fromhex(f"0600000000 {code:02x} 0000 0000 01 00000000 00")


def test_an_unknown_type_of_an_authentication_reply_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="type 2"):
        wire.decode_authentication_reply(b"\x06\0\x02\0\0")


def test_an_unassigned_reply_code_reads_as_a_general_failure() -> None:
    reply = OperationReply(ReplyCode.GENERAL_FAILURE)
    assert wire.decode_operation_reply(bytes.fromhex("63 0000 0000 01 00000000 00")) == (reply, 11)


def test_255_options_fit_and_one_more_does_not() -> None:
    options = tuple(RawOption(99, b"%03d" % number) for number in range(256))
    request = Request(Command.CONNECT, HOST, 80, options=options[:255])
    octets = wire.encode_request(request)
    assert wire.decode_request(octets) == (request, len(octets))
    with pytest.raises(LocalProtocolError, match="256 options"):
        wire.encode_request(Request(Command.CONNECT, HOST, 80, options=options))


@pytest.mark.parametrize(
    "impossible",
    [
        RawOption(99, bytes(254)),
        RawOption(256, b""),
        RawOption(-1, b""),
        o.UserPasswordData(b"u" * 125, b"p" * 125),
        o.AuthenticationMethods((0,) * 254),
        o.AuthenticationMethods((256,)),
        o.IdempotenceRequest(0),
        o.IdempotenceRequest(2**31),
        o.IdempotenceExpenditure(2**32),
        options11.SessionRequest(),
        options11.UserPasswordData(b"u", b"p"),
        stack11.TcpFastOpen(Leg.PROXY_REMOTE, 0),
    ],
)
def test_options_that_cannot_be_sent(impossible: Option | RawOption) -> None:
    with pytest.raises(LocalProtocolError):
        encoded_in(REQUEST, impossible)


@pytest.mark.parametrize(
    "impossible",
    [
        Request(Command.CONNECT, HOST, 65536),
        Request(Command.CONNECT, HOST, 80, 65536),
        Request(Command.CONNECT, HOST, 80, -1),
        Request(Command.BIND, HOST, 80, 1),
        Request(256, HOST, 80),
        Request(Command.CONNECT, Address(AddressType.IPV4, "::1"), 80),
        Request(Command.CONNECT, Address.of("n" * 256), 80),
    ],
)
def test_requests_that_cannot_be_sent(impossible: Request) -> None:
    with pytest.raises(LocalProtocolError):
        wire.encode_request(impossible)


def test_numbers_that_fit_no_field_cannot_be_sent() -> None:
    with pytest.raises(LocalProtocolError):
        wire.encode_operation_reply(OperationReply(ReplyCode.SUCCEEDED, ANY_IPV4, 80, 65536))
    with pytest.raises(LocalProtocolError):
        wire.encode_authentication_reply(AuthenticationReply(AuthenticationType.MORE_NEEDED, 256))
    with pytest.raises(LocalProtocolError):
        wire.encode_version_mismatch(VersionMismatch(256))


def test_passwords_are_never_shown() -> None:
    assert repr(o.UserPasswordData(b"alice", b"sesame")) == "UserPasswordData(user=b'alice')"
