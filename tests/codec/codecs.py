"""Every message of the codec: how to make one up, write it and read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from codec import rfc1929, socks4, socks5
from codec.socks6 import udp, wire
from codec.socks6.draft04 import wire as wire04
from tests.codec import messages, messages04, messages6


@dataclass(frozen=True, slots=True)
class Codec:
    """How messages of one kind are made up, written and read."""

    messages: st.SearchStrategy[Any]
    encode: Callable[..., bytes]
    decode: Callable[..., Any]


VERSIONED: Mapping[str, Codec] = {
    "request": Codec(messages6.REQUEST, wire.encode_request, wire.decode_request),
    "authentication-reply": Codec(
        messages6.AUTHENTICATION_REPLY, wire.encode_authentication_reply, wire.decode_authentication_reply
    ),
    "operation-reply": Codec(messages6.OPERATION_REPLY, wire.encode_operation_reply, wire.decode_operation_reply),
    "udp": Codec(messages6.UDP_MESSAGE, udp.encode_udp, udp.decode_udp),
    "request-04": Codec(messages04.REQUEST, wire04.encode_request, wire04.decode_request),
    "authentication-reply-04": Codec(
        messages04.AUTHENTICATION_REPLY, wire04.encode_authentication_reply, wire04.decode_authentication_reply
    ),
}
"""Those whose version octet can be set."""

EVERY: Mapping[str, Codec] = {
    "socks4-request": Codec(messages.SOCKS4_REQUEST, socks4.encode_request, socks4.decode_request),
    "socks4-reply": Codec(messages.SOCKS4_REPLY, socks4.encode_reply, socks4.decode_reply),
    "socks5-greeting": Codec(messages.SOCKS5_GREETING, socks5.encode_greeting, socks5.decode_greeting),
    "socks5-method": Codec(messages.SOCKS5_SELECTION, socks5.encode_method_selection, socks5.decode_method_selection),
    "socks5-request": Codec(messages.SOCKS5_REQUEST, socks5.encode_request, socks5.decode_request),
    "socks5-reply": Codec(messages.SOCKS5_REPLY, socks5.encode_reply, socks5.decode_reply),
    "user-password": Codec(messages.USER_PASSWORD, rfc1929.encode_user_password, rfc1929.decode_user_password),
    "user-password-status": Codec(messages.USER_PASSWORD_STATUS, rfc1929.encode_status, rfc1929.decode_status),
    **VERSIONED,
    "version-mismatch": Codec(messages6.VERSION_MISMATCH, wire.encode_version_mismatch, wire.decode_version_mismatch),
    "version-mismatch-04": Codec(
        messages04.VERSION_MISMATCH, wire04.encode_version_mismatch, wire04.decode_version_mismatch
    ),
    "operation-reply-04": Codec(
        messages04.OPERATION_REPLY, wire04.encode_operation_reply, wire04.decode_operation_reply
    ),
}
"""All that travel on a stream. A SOCKS 5 datagram, which does not, has no length."""
