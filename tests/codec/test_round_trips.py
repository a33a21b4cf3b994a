"""Whatever is encoded decodes to the same, and no input does worse than a protocol error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec import rfc1929, socks4, socks5
from codec.errors import NEED_DATA, RemoteProtocolError
from codec.method import AuthenticationMethod
from codec.server import ServerConnection, State
from codec.socks6 import wire
from tests.codec import messages

Encode = Callable[[Any], bytes]
Decode = Callable[[Any], Any]
CODECS: dict[str, tuple[st.SearchStrategy[Any], Encode, Decode]] = {
    "socks4-request": (messages.SOCKS4_REQUEST, socks4.encode_request, socks4.decode_request),
    "socks4-reply": (messages.SOCKS4_REPLY, socks4.encode_reply, socks4.decode_reply),
    "user-password": (messages.USER_PASSWORD, rfc1929.encode_user_password, rfc1929.decode_user_password),
    "user-password-status": (messages.USER_PASSWORD_STATUS, rfc1929.encode_status, rfc1929.decode_status),
    "socks5-greeting": (messages.SOCKS5_GREETING, socks5.encode_greeting, socks5.decode_greeting),
    "socks5-method": (messages.SOCKS5_SELECTION, socks5.encode_method_selection, socks5.decode_method_selection),
    "socks5-request": (messages.SOCKS5_REQUEST, socks5.encode_request, socks5.decode_request),
    "socks5-reply": (messages.SOCKS5_REPLY, socks5.encode_reply, socks5.decode_reply),
    "request": (messages.SOCKS6_REQUEST, wire.encode_request, wire.decode_request),
    "authentication-reply": (
        messages.AUTHENTICATION_REPLY, wire.encode_authentication_reply, wire.decode_authentication_reply,
    ),
    "operation-reply": (messages.OPERATION_REPLY, wire.encode_operation_reply, wire.decode_operation_reply),
}  # fmt: skip
EVERY_CODEC = pytest.mark.parametrize("name", CODECS)
# Those that also take a bytearray, which the caller may change afterwards.
CODECS_OF_BUFFERS = [name for name in CODECS if name.startswith(("socks4", "socks5", "user"))]


@EVERY_CODEC
@given(data=st.data())
def test_a_message_survives_the_wire_and_its_prefixes_need_more(name: str, data: st.DataObject) -> None:
    strategy, encode, decode = CODECS[name]
    message = data.draw(strategy)
    octets = encode(message)
    assert decode(octets + b"next") == (message, len(octets))
    cut = data.draw(st.integers(0, len(octets) - 1))
    assert decode(octets[:cut]) is NEED_DATA


@pytest.mark.parametrize("name", CODECS_OF_BUFFERS)
@given(data=st.data())
def test_a_message_does_not_hold_on_to_a_mutable_buffer(name: str, data: st.DataObject) -> None:
    strategy, encode, decode = CODECS[name]
    message = data.draw(strategy)
    decoded, _ = decode(bytearray(encode(message)))
    assert decoded == message
    assert hash(decoded) == hash(message)


@EVERY_CODEC
@given(octets=st.binary(max_size=64))
def test_any_octets_decode_need_more_or_are_refused(name: str, octets: bytes) -> None:
    _, _, decode = CODECS[name]
    try:
        decoded = decode(octets)
    except RemoteProtocolError:
        return
    assert decoded is NEED_DATA or decoded[1] <= len(octets)


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


@given(octets=st.binary(max_size=64), version=st.sampled_from([b"\x05\x01\x00", b"\x06", b""]))
def test_a_server_survives_any_octets(octets: bytes, version: bytes) -> None:
    server = ServerConnection()
    reply = b""
    try:
        event = server.receive(version + octets)
        if isinstance(event, socks5.Greeting):
            server.send_method(AuthenticationMethod.NONE)
            server.receive(b"")
    except RemoteProtocolError as error:
        reply = error.reply
    assert (server.state is State.BROKEN) == (reply[:1] in (b"\x05", b"\x06"))
