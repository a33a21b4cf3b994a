"""What must hold for every decoder, whatever octets it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from codec import rfc1929, socks4, socks5
from codec.command import Command
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError
from codec.socks6 import messages, option_list, udp, wire
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import option_list as option_list04
from codec.socks6.draft04 import wire as wire04
from codec.socks6.option import Place

Octets: TypeAlias = bytes | bytearray
ADDRESS_FIELD = 256
OPTIONS_04 = 1 + 255 * 255
FILLERS = (b"\0", b"\xff")
EVERY_CUT = 48
"""Octets: inputs up to here are cut everywhere, longer ones at both ends and at a few places between."""


def sends_anything(_message: Any) -> bool:
    return True


def goes_nowhere_if_noop(request: messages.Request) -> bool:
    """A NOOP with a destination is understood, and never sent."""
    return request.command is not Command.NOOP or (request.address.host in ("0.0.0.0", "::") and not request.port)


def has_initial_data_if_connect(request: messages04.Request) -> bool:
    """A size of initial data is understood with any command, and sent with a CONNECT."""
    return request.command is Command.CONNECT or not request.initial_data_size


@dataclass(frozen=True, slots=True)
class Decoder:
    """A decoder, the encoder that is its inverse, and the octets after which it must not ask for more."""

    decode: Callable[[Octets], Any]
    encode: Callable[[Any], bytes]
    largest: int
    can_be_sent: Callable[[Any], bool] = sends_anything


def _options_11(place: Place) -> Decoder:
    # It is given whole lists only, as bytes: those who call it have found the end of the list.
    return Decoder(
        lambda data: (option_list.decode_options(bytes(data), place), len(data)),
        lambda options: option_list.encode_options(options, place),
        0,
    )


def _options_04(place: Place) -> Decoder:
    return Decoder(
        lambda data: option_list04.decode_options(data, 0, place, None),
        lambda options: option_list04.encode_options(options, place),
        OPTIONS_04,
    )


WHOLE_PACKETS: dict[str, Decoder] = {
    "socks5-datagram": Decoder(lambda data: (socks5.decode_datagram(data), len(data)), socks5.encode_datagram, 0),
    **{f"options-11-{place.title}": _options_11(place) for place in Place},
}
"""Decoders that are given all there is: a prefix means something else."""

STREAMS: dict[str, Decoder] = {
    "request": Decoder(
        wire.decode_request, wire.encode_request, 8 + ADDRESS_FIELD + option_list.LARGEST_OPTIONS, goes_nowhere_if_noop
    ),
    "authentication-reply": Decoder(
        wire.decode_authentication_reply, wire.encode_authentication_reply, 4 + option_list.LARGEST_OPTIONS
    ),
    "operation-reply": Decoder(
        wire.decode_operation_reply, wire.encode_operation_reply, 8 + ADDRESS_FIELD + option_list.LARGEST_OPTIONS
    ),
    "mismatch": Decoder(wire.decode_version_mismatch, wire.encode_version_mismatch, 1),
    "udp": Decoder(udp.decode_udp, udp.encode_udp, udp.LARGEST_MESSAGE),
    "request-04": Decoder(
        wire04.decode_request, wire04.encode_request, 8 + ADDRESS_FIELD + OPTIONS_04, has_initial_data_if_connect
    ),
    "authentication-reply-04": Decoder(
        wire04.decode_authentication_reply, wire04.encode_authentication_reply, 4 + OPTIONS_04
    ),
    "operation-reply-04": Decoder(
        wire04.decode_operation_reply, wire04.encode_operation_reply, 6 + ADDRESS_FIELD + OPTIONS_04
    ),
    "mismatch-04": Decoder(wire04.decode_version_mismatch, wire04.encode_version_mismatch, 2),
    "socks4-request": Decoder(
        socks4.decode_request, socks4.encode_request, 8 + socks4.LONGEST_USER_ID + 1 + ADDRESS_FIELD
    ),
    "socks4-reply": Decoder(socks4.decode_reply, socks4.encode_reply, 8),
    "socks5-greeting": Decoder(socks5.decode_greeting, socks5.encode_greeting, 2 + 255),
    "socks5-method": Decoder(socks5.decode_method_selection, socks5.encode_method_selection, 2),
    "socks5-request": Decoder(socks5.decode_request, socks5.encode_request, 4 + ADDRESS_FIELD + 2),
    "socks5-reply": Decoder(socks5.decode_reply, socks5.encode_reply, 4 + ADDRESS_FIELD + 2),
    "user-password": Decoder(rfc1929.decode_user_password, rfc1929.encode_user_password, 3 + 2 * 255),
    "user-password-status": Decoder(rfc1929.decode_status, rfc1929.encode_status, 2),
    **{f"options-04-{place.title}": _options_04(place) for place in Place},
}
"""Decoders that are given what has come so far."""

DECODERS = {**WHOLE_PACKETS, **STREAMS}


def check_decoder(name: str, data: bytes) -> None:
    """Every property of one decoder, for `data`."""
    decoder = DECODERS[name]
    found = outcome(decoder, data)
    check_buffer(decoder, data, found)
    if name in STREAMS:
        check_prefixes(decoder, data, found)
        if found is NEED_DATA:
            for filler in FILLERS:
                enough = data.ljust(decoder.largest, filler)
                assert outcome(decoder, enough) is not NEED_DATA, f"it waits for more than {decoder.largest} octets"
    if isinstance(found, tuple):
        check_message(decoder, data, found)


def outcome(decoder: Decoder, data: Octets) -> Any:
    """What the decoder makes of the octets: a message and its end, NEED_DATA, or a refusal as comparable text."""
    try:
        return decoder.decode(data)
    except RemoteProtocolError as error:
        return refusal(error)


def refusal(error: RemoteProtocolError) -> str:
    """What can be told of an error from outside."""
    return f"{type(error).__name__}, answered with {error.reply.hex() or 'nothing'}"


def check_buffer(decoder: Decoder, data: bytes, found: Any) -> None:
    """A bytearray reads as bytes do, and what was decoded does not change with it."""
    buffer = bytearray(data)
    again = outcome(decoder, buffer)
    buffer[:] = bytes(len(buffer))
    assert again == found, f"a bytearray decodes to {again}, bytes to {found}"
    hash(again)


def check_prefixes(decoder: Decoder, data: bytes, found: Any) -> None:
    """Ever more octets need more, until the answer is there; then it stays."""
    settled: Any = NEED_DATA
    for cut in cuts(len(data), found[1] if isinstance(found, tuple) else 0):
        now = outcome(decoder, data[:cut])
        assert settled in (NEED_DATA, now), f"with {cut} octets it was {settled}, then {now}"
        settled = now
        if isinstance(now, tuple):
            assert now[1] <= cut, f"a message of {now[1]} octets in {cut}"
            assert now == found, f"with {cut} octets it is {now}, with {len(data)} {found}"
    assert settled in (NEED_DATA, found), f"{settled} of a prefix, {found} of the whole"


def cuts(length: int, end: int) -> Iterator[int]:
    """Lengths of prefixes in rising order: all of short inputs, of others those around the ends."""
    near = {0, end, length}
    step = max(1, length // 8)
    for cut in range(length):
        if length <= EVERY_CUT or cut < 16 or cut % step == 0 or any(abs(cut - place) < 4 for place in near):
            yield cut


def check_message(decoder: Decoder, data: bytes, found: tuple[Any, int]) -> None:
    """A message ends where it says, and survives being sent on, unless there is a reason not to send it."""
    message, end = found
    assert 0 <= end <= len(data), f"it ends at {end} of {len(data)}"
    assert decoder.decode(data[:end]) == found, "octets behind its end change it"
    try:
        octets = decoder.encode(message)
    except LocalProtocolError:
        if decoder.can_be_sent(message):
            raise
        return
    assert decoder.can_be_sent(message), f"{message} is sent"
    again = decoder.decode(octets)
    assert again == (message, len(octets)), f"sent on it becomes {again}, not {message} in {len(octets)} octets"
