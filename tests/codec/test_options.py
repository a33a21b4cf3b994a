"""The options of draft-11 other than stack options, against the table of its section "SOCKS Options"."""

from __future__ import annotations

import pytest

from codec import rfc1929
from codec.address import Address
from codec.command import Command
from codec.errors import LocalProtocolError, RemoteProtocolError
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.socks6 import messages, wire
from codec.socks6 import options as o
from codec.socks6.draft04 import options as options04
from codec.socks6.option import Option, OptionKind, Place, RawOption
from codec.socks6.option_list import LARGEST_OPTIONS, OptionFault, decode_options, encode_options, find_option
from codec.socks6.stack import Leg

REQUEST, AUTHENTICATION, OPERATION = Place.REQUEST, Place.AUTHENTICATION_REPLY, Place.OPERATION_REPLY
PASSWORD, CHAP = AuthenticationMethod.USER_PASSWORD, AuthenticationMethod.CHAP
OPTIONS: list[tuple[str, Place, Option]] = [
    ("0002 0008 0000 02 00", REQUEST, o.AuthenticationMethodAdvertisement(0, (PASSWORD,))),
    ("0002 0008 4000 02 03", REQUEST, o.AuthenticationMethodAdvertisement(16384, (PASSWORD, CHAP))),
    ("0002 000c 0001 02 80 03 000000", REQUEST, o.AuthenticationMethodAdvertisement(1, (PASSWORD, 0x80, CHAP))),
    ("0002 0008 0000 0000", REQUEST, o.AuthenticationMethodAdvertisement(0, ())),
    ("0003 0008 02 000000", AUTHENTICATION, o.AuthenticationMethodSelection(PASSWORD)),
    ("0003 0008 80 000000", AUTHENTICATION, o.AuthenticationMethodSelection(0x80)),
    ("0003 0008 ff 000000", AUTHENTICATION, o.AuthenticationMethodSelection(AuthenticationMethod.NONE_ACCEPTABLE)),
    ("0004 000c 02 01 01 75 02 7077 00", REQUEST, o.UserPasswordData(b"u", b"pw")),
    ("0004 0008 02 01 00 00", REQUEST, o.UserPasswordData(b"", b"")),
    (
        "0004 0208 02 01 ff" + "75" * 255 + "fe" + "70" * 254 + "000000",
        REQUEST,
        o.UserPasswordData(b"u" * 255, b"p" * 254),
    ),
    ("0004 0008 02 01 00 00", AUTHENTICATION, o.UserPasswordResult(success=True)),
    ("0004 0008 02 01 01 00", AUTHENTICATION, o.UserPasswordResult(success=False)),
    ("0005 0004", REQUEST, o.SessionRequest()),
    ("0006 0008 01020304", REQUEST, o.SessionId(bytes((1, 2, 3, 4)))),
    ("0006 000c 0102030405060708", AUTHENTICATION, o.SessionId(bytes(range(1, 9)))),
    ("0006 0008 00000000", OPERATION, o.SessionId(bytes(4))),
    ("0008 0004", AUTHENTICATION, o.SessionOk()),
    ("0009 0004", AUTHENTICATION, o.SessionInvalid()),
    ("000a 0004", REQUEST, o.SessionTeardown()),
    ("000b 0008 00000001", REQUEST, o.IdempotenceRequest(1)),
    ("000b 0008 7fffffff", REQUEST, o.IdempotenceRequest(o.LARGEST_WINDOW)),
    ("000c 000c ffffffff 00000100", AUTHENTICATION, o.IdempotenceWindow(2**32 - 1, 256)),
    ("000d 0008 ffffffff", REQUEST, o.IdempotenceExpenditure(2**32 - 1)),
    ("000e 0004", AUTHENTICATION, o.IdempotenceAccepted()),
    ("000f 0004", AUTHENTICATION, o.IdempotenceRejected()),
]
EVERY_OPTION = pytest.mark.parametrize(("octets", "place", "option"), OPTIONS)
BEFORE, BEHIND = RawOption(0xFC00, b"head"), RawOption(0xFC00, b"tail")


def decoded_beside_neighbours(octets: str, place: Place) -> tuple[list[Option | RawOption], list[OptionFault]]:
    """What stands between two neighbours that are read whatever it is, and the faults found."""
    faults: list[OptionFault] = []
    data = encode_options((BEFORE,), place) + bytes.fromhex(octets) + encode_options((BEHIND,), place)
    options = decode_options(data, place, faults)
    assert (options[0], options[-1]) == (BEFORE, BEHIND)
    return list(options[1:-1]), faults


@EVERY_OPTION
def test_octets(octets: str, place: Place, option: Option) -> None:
    assert encode_options((option,), place) == bytes.fromhex(octets)
    assert decode_options(bytes.fromhex(octets), place) == (option,)


def test_every_option_is_in_the_table_wherever_it_may_stand() -> None:
    places = {(kind, place) for kind in o.OPTIONS for place in Place if place in kind.places}
    assert {(type(option), place) for _, place, option in OPTIONS} == places
    assert {option.kind for option in o.OPTIONS} | {OptionKind.STACK} == set(OptionKind)


@EVERY_OPTION
def test_an_option_is_read_and_sent_where_it_belongs_only(octets: str, place: Place, option: Option) -> None:
    assert decoded_beside_neighbours(octets, place) == ([option], [])
    for other in Place:
        if other in option.places:
            continue
        with pytest.raises(LocalProtocolError, match=other.title):
            encode_options((option,), other)
        # Authentication data mean something else in the other direction.
        if option.kind is not OptionKind.AUTHENTICATION_DATA or other is OPERATION:
            options, [fault] = decoded_beside_neighbours(octets, other)
            assert options == []
            assert fault.kind == option.kind
            assert other.title in fault.why


@pytest.mark.parametrize(
    ("place", "octets", "why"),
    [
        (REQUEST, "0002 0004", "without methods"),
        (REQUEST, "0004 0004", "no method"),
        (REQUEST, "0004 0008 00 000000", "no method"),
        (REQUEST, "0004 0008 02 01 02 75", "do not fit"),
        (REQUEST, "0004 000c 02 01 00 00 00000000", "do not fit"),
        (REQUEST, "0004 0008 02 05 00 00", "version 5"),
        (REQUEST, "0005 0008 00000000", "4 octets where 0 belong"),
        (REQUEST, "0006 0004", "empty session ID"),
        (REQUEST, "000a 0008 00000000", "0 belong"),
        (REQUEST, "000b 0004", "0 octets where 4 belong"),
        (REQUEST, "000b 0008 00000000", "size is 1 to"),
        (REQUEST, "000b 0008 80000000", "size is 1 to"),
        (REQUEST, "000d 0004", "4 belong"),
        (REQUEST, "000d 000c 0000000000000000", "4 belong"),
        (AUTHENTICATION, "0003 0004", "4 belong"),
        (AUTHENTICATION, "0003 000c 0200000000000000", "4 belong"),
        (AUTHENTICATION, "0004 0004", "no method"),
        (AUTHENTICATION, "0004 0008 02 05 00 00", "version 5"),
        (AUTHENTICATION, "0004 000c 02 01 00 00 00000000", "do not fit"),
        (AUTHENTICATION, "0008 0008 00000000", "0 belong"),
        (AUTHENTICATION, "0009 0008 00000000", "0 belong"),
        (AUTHENTICATION, "000c 0008 00000000", "8 belong"),
        (AUTHENTICATION, "000c 000c 00000000 00000000", "size is 1 to"),
        (AUTHENTICATION, "000e 0008 00000000", "0 belong"),
        (AUTHENTICATION, "000f 0008 00000000", "0 belong"),
        (OPERATION, "0006 0004", "empty session ID"),
    ],
)
def test_a_malformed_option_is_dropped_with_a_note_and_its_neighbours_read(place: Place, octets: str, why: str) -> None:
    options, [fault] = decoded_beside_neighbours(octets, place)
    assert options == []
    assert fault.kind == int(octets[:4], 16)
    assert fault.offset == len(encode_options((BEFORE,), place))
    assert why in fault.why


@pytest.mark.parametrize(
    ("place", "octets", "option"),
    [
        (REQUEST, "0002 0008 0000 0200", o.AuthenticationMethodAdvertisement(0, (PASSWORD,))),
        (REQUEST, "0002 000c 0000 0200 00000000", o.AuthenticationMethodAdvertisement(0, (PASSWORD,))),
        (REQUEST, "0002 0008 0000 0002", o.AuthenticationMethodAdvertisement(0, (AuthenticationMethod.NONE, PASSWORD))),
        (AUTHENTICATION, "0003 0008 02 ffffff", o.AuthenticationMethodSelection(PASSWORD)),
        (REQUEST, "0004 000c 02 01 01 75 00 ffffff", o.UserPasswordData(b"u", b"")),
        (AUTHENTICATION, "0004 0008 02 01 05 ff", o.UserPasswordResult(success=False)),
    ],
)
def test_padding_is_not_looked_at(place: Place, octets: str, option: Option) -> None:
    assert decode_options(bytes.fromhex(octets), place) == (option,)


@pytest.mark.parametrize(
    ("place", "octets"),
    [
        (REQUEST, "0000 0004"),
        (REQUEST, "0007 0004"),
        (AUTHENTICATION, "0010 0008 c0000201"),
        (OPERATION, "ffff 000c 0000000000000000"),
        (REQUEST, "0004 0008 03 010203"),
        (AUTHENTICATION, "0004 0008 80 010203"),
    ],
)
def test_what_is_unknown_is_kept_as_it_came(place: Place, octets: str) -> None:
    data = bytes.fromhex(octets)
    raw = RawOption(int(octets[:4], 16), data[4:])
    assert decoded_beside_neighbours(octets, place) == ([raw], [])
    assert encode_options((raw,), place) == data


@pytest.mark.parametrize(
    ("place", "impossible"),
    [
        (REQUEST, o.AuthenticationMethodAdvertisement(16385, (PASSWORD,))),
        (REQUEST, o.AuthenticationMethodAdvertisement(-1, (PASSWORD,))),
        (REQUEST, o.AuthenticationMethodAdvertisement(0, (256,))),
        (AUTHENTICATION, o.AuthenticationMethodSelection(256)),
        (REQUEST, o.UserPasswordData(b"u" * 256, b"")),
        (REQUEST, o.UserPasswordData(b"", b"p" * 256)),
        (REQUEST, o.SessionId(b"")),
        (REQUEST, o.SessionId(b"123")),
        (REQUEST, o.SessionId(bytes(o.LARGEST_SESSION_ID + 4))),
        (REQUEST, o.IdempotenceRequest(0)),
        (REQUEST, o.IdempotenceRequest(2**31)),
        (AUTHENTICATION, o.IdempotenceWindow(2**32, 1)),
        (AUTHENTICATION, o.IdempotenceWindow(0, 0)),
        (REQUEST, o.IdempotenceExpenditure(-1)),
        (REQUEST, options04.AuthenticationMethods((PASSWORD,))),
        (REQUEST, options04.UserPasswordData(b"u", b"p")),
        (OPERATION, options04.Multipath(Leg.PROXY_REMOTE)),
        (REQUEST, RawOption(77, b"abc")),
        (REQUEST, RawOption(0x10000, b"")),
        (REQUEST, RawOption(-1, b"")),
        (REQUEST, RawOption(77, bytes(0x10000))),
    ],
)
def test_what_cannot_be_sent(place: Place, impossible: Option | RawOption) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_options((impossible,), place)
    assert "ppp" not in str(caught.value)


def test_the_largest_options_fit_and_one_more_does_not() -> None:
    for largest in (RawOption(0xFC00, bytes(LARGEST_OPTIONS - 4)), o.SessionId(bytes(o.LARGEST_SESSION_ID))):
        assert decode_options(encode_options((largest,), REQUEST), REQUEST) == (largest,)
        with pytest.raises(LocalProtocolError, match="16388 octets of options"):
            encode_options((largest, o.SessionRequest()), REQUEST)


@pytest.mark.parametrize("octets", ["0005", "00050003", "0005 0000", "0005 0006 00000000", "0005 0008", "0005 0004 00"])
def test_a_length_that_makes_no_sense_refuses_the_message(octets: str) -> None:
    for place in Place:
        with pytest.raises(RemoteProtocolError, match=r"bad length|cut off"):
            decode_options(bytes.fromhex(octets), place)


def test_too_much_initial_data_refuse_the_message_as_nobody_knows_where_they_end() -> None:
    body = "0002 0008 4001 0200"
    request = bytes.fromhex("0601 0008 0050 00 01 c0000201" + body)
    with pytest.raises(RemoteProtocolError, match="16385") as caught:
        wire.decode_request(request)
    assert caught.value.reply == wire.refusal(ReplyCode.GENERAL_FAILURE)
    assert decoded_beside_neighbours(body, AUTHENTICATION)[0] == []


def test_secrets_are_never_shown() -> None:
    shown = repr(
        messages.Request(
            Command.CONNECT, Address.of("h"), 80, (o.UserPasswordData(b"alice", b"sesame"), o.SessionId(b"hush"))
        )
    )
    assert "alice" in shown
    assert "sesame" not in shown
    assert "hush" not in shown
    assert repr(rfc1929.UserPassword(b"alice", b"sesame")) == "UserPassword(user=b'alice')"


@pytest.mark.parametrize("repeated", [o.SessionRequest(), o.UserPasswordData(b"u", b"p"), RawOption(77, b"same")])
def test_equal_options_collapse(repeated: Option | RawOption) -> None:
    faults: list[OptionFault] = []
    assert decode_options(encode_options((repeated, repeated), REQUEST), REQUEST, faults) == (repeated,)
    assert faults == []


@pytest.mark.parametrize(
    ("place", "one", "other"),
    [
        (REQUEST, o.AuthenticationMethodAdvertisement(0, (PASSWORD,)), o.AuthenticationMethodAdvertisement(9, (CHAP,))),
        (REQUEST, o.UserPasswordData(b"alice", b"sesame"), o.UserPasswordData(b"alice", b"open")),
        (REQUEST, o.SessionId(b"this"), o.SessionId(b"that")),
        (REQUEST, o.IdempotenceRequest(1), o.IdempotenceRequest(2)),
        (REQUEST, o.IdempotenceExpenditure(1), o.IdempotenceExpenditure(2)),
        (AUTHENTICATION, o.AuthenticationMethodSelection(PASSWORD), o.AuthenticationMethodSelection(CHAP)),
        (AUTHENTICATION, o.UserPasswordResult(success=True), o.UserPasswordResult(success=False)),
        (AUTHENTICATION, o.IdempotenceWindow(0, 8), o.IdempotenceWindow(1, 8)),
        (OPERATION, o.SessionId(b"this"), o.SessionId(b"that")),
    ],
)
def test_options_that_contradict_each_other_are_dropped_and_their_neighbours_read(
    place: Place, one: Option, other: Option
) -> None:
    octets = encode_options((one, RawOption(77, b""), other), place)
    options, faults = decoded_beside_neighbours(octets.hex(), place)
    start = len(encode_options((BEFORE,), place))
    assert options == [RawOption(77, b"")]
    assert [(fault.kind, fault.offset, fault.why) for fault in faults] == [
        (one.kind, start, "contradicts another one"),
        (other.kind, start + 4 + len(encode_options((one,), place)), "contradicts another one"),
    ]


def test_unknown_options_contradict_nothing() -> None:
    options = (RawOption(77, b""), RawOption(77, b"more"))
    assert decode_options(encode_options(options, REQUEST), REQUEST) == options


def test_an_option_is_found_by_its_type() -> None:
    options = (RawOption(77, b""), o.SessionId(b"this"))
    assert find_option(options, o.SessionId) == options[1]
    assert find_option(options, o.SessionRequest) is None
