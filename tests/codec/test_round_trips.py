"""Whatever is encoded decodes to the same, and no input does worse than a protocol error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec import socks5
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError, VersionMismatchError
from tests.codec import messages
from tests.codec.codecs import EVERY, VERSIONED, Codec

EVERY_CODEC = pytest.mark.parametrize("codec", EVERY.values(), ids=EVERY)
EVERY_VERSIONED_CODEC = pytest.mark.parametrize("codec", VERSIONED.values(), ids=VERSIONED)


def must_do_no_worse_than_refuse(codec: Codec, octets: bytes) -> None:
    """What is understood depends on no octet behind its end, and would read the same if it were sent on."""
    try:
        decoded = codec.decode(octets)
    except RemoteProtocolError:
        return
    if decoded is NEED_DATA:
        return
    message, end = decoded
    assert codec.decode(octets[:end]) == decoded
    assert codec.decode(octets[: end - 1]) is NEED_DATA
    try:
        encoded = codec.encode(message)
    except LocalProtocolError:
        return
    assert codec.decode(encoded) == (message, len(encoded))


def mutated(octets: bytes, data: st.DataObject) -> bytes:
    """The octets with one to four of them changed, left out, or put before others."""
    changed = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(changed)))
        length = data.draw(st.integers(0, 2))
        changed[start : start + length] = data.draw(st.binary(max_size=2))
    return bytes(changed)


@EVERY_CODEC
@given(data=st.data())
def test_a_message_survives_the_wire_and_leaves_what_follows_alone(codec: Codec, data: st.DataObject) -> None:
    message = data.draw(codec.messages)
    octets = codec.encode(message)
    assert codec.decode(octets) == (message, len(octets))
    assert codec.decode(octets + data.draw(st.binary(max_size=8))) == (message, len(octets))


@EVERY_CODEC
@given(data=st.data())
def test_every_proper_prefix_needs_more(codec: Codec, data: st.DataObject) -> None:
    octets = codec.encode(data.draw(codec.messages))
    buffer = bytearray()
    for octet in octets:
        assert codec.decode(buffer) is NEED_DATA
        buffer.append(octet)


@EVERY_CODEC
@given(data=st.data())
def test_a_message_does_not_hold_on_to_a_mutable_buffer(codec: Codec, data: st.DataObject) -> None:
    message = data.draw(codec.messages)
    decoded, _ = codec.decode(bytearray(codec.encode(message)))
    assert decoded == message
    assert hash(decoded) == hash(message)


@EVERY_CODEC
@given(octets=st.binary(max_size=64))
def test_any_octets_decode_need_more_or_are_refused(codec: Codec, octets: bytes) -> None:
    must_do_no_worse_than_refuse(codec, octets)


@EVERY_CODEC
@given(data=st.data())
def test_a_damaged_message_decodes_needs_more_or_is_refused(codec: Codec, data: st.DataObject) -> None:
    must_do_no_worse_than_refuse(codec, mutated(codec.encode(data.draw(codec.messages)), data))


@EVERY_VERSIONED_CODEC
@given(data=st.data(), version=messages.OCTET)
def test_any_version_octet_is_sent_and_insisted_on(codec: Codec, data: st.DataObject, version: int) -> None:
    message: Any = data.draw(codec.messages)
    octets = codec.encode(message, version)
    assert octets[0] == version
    assert codec.decode(octets, version) == (message, len(octets))
    with pytest.raises(VersionMismatchError):
        codec.decode(octets, version ^ 1)


@given(datagram=messages.SOCKS5_DATAGRAM)
def test_a_socks5_datagram_survives_the_wire_and_is_never_partial(datagram: socks5.Datagram) -> None:
    packet = socks5.encode_datagram(datagram)
    decoded = socks5.decode_datagram(bytearray(packet))
    assert decoded == datagram
    assert hash(decoded) == hash(datagram)
    with pytest.raises(RemoteProtocolError):
        socks5.decode_datagram(packet[: len(packet) - len(datagram.data) - 1])


@given(octets=st.binary(max_size=64))
def test_any_socks5_packet_is_a_datagram_or_refused(octets: bytes) -> None:
    try:
        decoded = socks5.decode_datagram(octets)
    except RemoteProtocolError:
        return
    assert octets.endswith(decoded.data)
