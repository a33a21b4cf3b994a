"""Stack options, against the table of draft-11 "Stack options"."""

from __future__ import annotations

import pytest

from codec.errors import LocalProtocolError
from codec.socks6.option import OptionKind, Place, RawOption
from codec.socks6.option_list import OptionFault, decode_options, encode_options
from codec.socks6.stack import (
    STACK_OPTIONS,
    HappyEyeballs,
    Leg,
    ListenBacklog,
    Multipath,
    NoFragmentation,
    Parity,
    PortParity,
    StackOption,
    TcpFastOpen,
    Tos,
    Ttl,
    UdpError,
)

CLIENT, REMOTE, BOTH = Leg.CLIENT_PROXY, Leg.PROXY_REMOTE, Leg.BOTH
PLACES = pytest.mark.parametrize("place", [Place.REQUEST, Place.OPERATION_REPLY])
OPTIONS: dict[str, StackOption] = {
    "41 01 b8 00": Tos(CLIENT, 0xB8),
    "81 01 ff 00": Tos(REMOTE, 0xFF),
    "c1 01 00 00": Tos(BOTH, 0),
    "81 02 01 00": HappyEyeballs(REMOTE, wanted=False),
    "81 02 02 00": HappyEyeballs(REMOTE, wanted=True),
    "41 03 01 00": Ttl(CLIENT, 1),
    "c1 03 ff 00": Ttl(BOTH, 255),
    "41 04 01 00": NoFragmentation(CLIENT, wanted=False),
    "81 04 02 00": NoFragmentation(REMOTE, wanted=True),
    "84 01 00 00": TcpFastOpen(REMOTE, 0),
    "84 01 05 b4": TcpFastOpen(REMOTE, 1460),
    "84 02 01 00": Multipath(REMOTE, wanted=False),
    "84 02 02 00": Multipath(REMOTE, wanted=True),
    "84 03 00 00": ListenBacklog(REMOTE, 0),
    "84 03 ff ff": ListenBacklog(REMOTE, 65535),
    "85 01 01 00": UdpError(REMOTE, wanted=False),
    "85 01 02 00": UdpError(REMOTE, wanted=True),
    "85 02 00 00": PortParity(REMOTE, Parity.NONE, reserve=False),
    "85 02 01 01": PortParity(REMOTE, Parity.EVEN, reserve=True),
    "85 02 02 00": PortParity(REMOTE, Parity.ODD, reserve=False),
}


def stack_option(body: str) -> bytes:
    octets = bytes.fromhex(body)
    return b"\0\1" + (4 + len(octets)).to_bytes(2, "big") + octets


@PLACES
@pytest.mark.parametrize("body", OPTIONS)
def test_octets(body: str, place: Place) -> None:
    assert encode_options((OPTIONS[body],), place) == stack_option(body)
    assert decode_options(stack_option(body), place) == (OPTIONS[body],)


def test_every_option_is_in_the_table() -> None:
    assert {type(option) for option in OPTIONS.values()} == set(STACK_OPTIONS.values())


@pytest.mark.parametrize("option", OPTIONS.values())
def test_authentication_replies_hold_none(option: StackOption) -> None:
    with pytest.raises(LocalProtocolError, match="authentication reply"):
        encode_options((option,), Place.AUTHENTICATION_REPLY)
    faults: list[OptionFault] = []
    data = encode_options((option,), Place.REQUEST)
    assert decode_options(data, Place.AUTHENTICATION_REPLY, faults) == ()
    assert "authentication reply" in faults[0].why


@pytest.mark.parametrize("kind", [HappyEyeballs, Multipath, UdpError])
@pytest.mark.parametrize("leg", [CLIENT, BOTH])
def test_what_is_for_the_remote_leg_is_sent_for_no_other(kind: type[Multipath], leg: Leg) -> None:
    with pytest.raises(LocalProtocolError, match="remote host only"):
        encode_options((kind(leg, wanted=True),), Place.REQUEST)


@pytest.mark.parametrize(
    "impossible",
    [
        Tos(BOTH, 256),
        Ttl(BOTH, -1),
        TcpFastOpen(REMOTE, 65536),
        ListenBacklog(REMOTE, -1),
        PortParity(REMOTE, 3, reserve=False),  # type: ignore[arg-type]
    ],
)
def test_values_out_of_range_are_not_sent(impossible: StackOption) -> None:
    with pytest.raises(LocalProtocolError):
        encode_options((impossible,), Place.REQUEST)


@PLACES
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("01 01 00 00", "leg 0"),
        ("04 02 02 00", "leg 0"),
        ("41 02 02 00", "leg 1"),
        ("c1 02 02 00", "leg 3"),
        ("44 01 00 00", "leg 1"),
        ("c4 02 02 00", "leg 3"),
        ("44 03 00 08", "leg 1"),
        ("c5 01 02 00", "leg 3"),
        ("45 02 01 00", "leg 1"),
        ("81 02 00 00", "wanted is 1 to 2"),
        ("81 04 03 00", "wanted is 1 to 2"),
        ("84 02 00 00", "wanted is 1 to 2"),
        ("85 01 ff 00", "wanted is 1 to 2"),
        ("85 02 03 00", "parity is 0 to 2"),
        ("85 02 01 02", "reserve is 0 to 1"),
        ("", "4 octets"),
        ("84 02 02 00 00 00 00 00", "4 octets"),
    ],
)
def test_one_that_makes_no_sense_is_dropped_with_a_note_and_its_neighbours_read(
    body: str, why: str, place: Place
) -> None:
    before, behind = Tos(BOTH, 8), Ttl(BOTH, 64)
    data = encode_options((before,), place) + stack_option(body) + encode_options((behind,), place)
    faults: list[OptionFault] = []
    assert decode_options(data, place, faults) == (before, behind)
    assert [(fault.kind, fault.offset) for fault in faults] == [(OptionKind.STACK, 8)]
    assert why in faults[0].why


@PLACES
@pytest.mark.parametrize("body", ["c1 05 00 00", "81 00 00 00", "82 01 00 00", "84 04 00 04", "bf ff 12 34"])
def test_an_unknown_one_is_kept_as_it_came(body: str, place: Place) -> None:
    raw = RawOption(OptionKind.STACK, bytes.fromhex(body))
    assert decode_options(stack_option(body), place) == (raw,)
    assert encode_options((raw,), place) == stack_option(body)


def test_padding_is_not_looked_at() -> None:
    assert decode_options(stack_option("84 02 02 ff"), Place.REQUEST) == (Multipath(REMOTE, wanted=True),)


def test_two_that_contradict_each_other_are_dropped_and_their_neighbours_read() -> None:
    yes, no = Multipath(REMOTE, wanted=True), Multipath(REMOTE, wanted=False)
    both, one = Tos(BOTH, 8), Tos(CLIENT, 16)
    ttl, raw = Ttl(REMOTE, 8), RawOption(77, b"")
    data = encode_options((yes, ttl, no, both, raw, one), Place.REQUEST)
    faults: list[OptionFault] = []
    assert decode_options(data, Place.REQUEST, faults) == (ttl, raw)
    assert [fault.offset for fault in faults] == [0, 16, 24, 36]
    assert {fault.why for fault in faults} == {"contradicts another one"}


@pytest.mark.parametrize(
    "options",
    [
        (Tos(BOTH, 8), Tos(CLIENT, 8)),
        (Tos(CLIENT, 8), Tos(REMOTE, 16)),
        (Ttl(CLIENT, 8), Ttl(REMOTE, 16), Tos(BOTH, 8)),
        (NoFragmentation(CLIENT, wanted=True), NoFragmentation(REMOTE, wanted=False)),
    ],
)
def test_the_same_on_overlapping_legs_and_others_on_different_legs_are_no_contradiction(
    options: tuple[StackOption, ...],
) -> None:
    assert decode_options(encode_options(options, Place.REQUEST), Place.REQUEST) == options


def test_equal_ones_collapse() -> None:
    option = Multipath(REMOTE, wanted=True)
    assert decode_options(encode_options((option, option), Place.REQUEST), Place.REQUEST) == (option,)
