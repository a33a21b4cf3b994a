"""The kinds of SOCKSv6 messages by the names that the command line has for them, in both drafts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from codec import socks5
from codec.errors import NeedData
from codec.json_form import Classes
from codec.socks6 import messages, options, stack, udp, wire
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import options as options04
from codec.socks6.draft04 import wire as wire04
from codec.socks6.option import RawOption
from codec.socks6.option_list import OptionFault

Decoded: TypeAlias = tuple[Any, int] | NeedData


@dataclass(frozen=True, slots=True)
class Kind:
    """How messages of a kind are read and written, `version` being their version octet."""

    form: Any
    """The dataclass, or a union of them."""
    decode: Callable[[bytes, int, list[OptionFault]], Decoded]
    encode: Callable[[Any, int], bytes]


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft's kinds, and the options and UDP messages that they hold, by class name."""

    kinds: Mapping[str, Kind]
    classes: Classes


def _decode_socks5_datagram(data: bytes, _version: int, _faults: list[OptionFault]) -> Decoded:
    return socks5.decode_datagram(data), len(data)


def _by_name(classes: Iterable[type]) -> Classes:
    return {one.__name__: one for one in classes}


_UDP_MESSAGES = (udp.AssociationInit, udp.AssociationConfirmation, udp.Datagram, udp.DatagramError)

DRAFT_11 = Draft(
    {
        "request": Kind(messages.Request, wire.decode_request, wire.encode_request),
        "auth-reply": Kind(
            messages.AuthenticationReply, wire.decode_authentication_reply, wire.encode_authentication_reply
        ),
        "operation-reply": Kind(messages.OperationReply, wire.decode_operation_reply, wire.encode_operation_reply),
        "udp": Kind(udp.UdpMessage, lambda data, version, _: udp.decode_udp(data, version), udp.encode_udp),
        "mismatch": Kind(
            messages.VersionMismatch,
            lambda data, version, _: wire.decode_version_mismatch(data, version),
            lambda mismatch, _: wire.encode_version_mismatch(mismatch),
        ),
    },
    _by_name((*options.OPTIONS, *stack.STACK_OPTIONS.values(), RawOption, *_UDP_MESSAGES)),
)
DRAFT_04 = Draft(
    {
        "request": Kind(messages04.Request, wire04.decode_request, wire04.encode_request),
        "auth-reply": Kind(
            messages04.AuthenticationReply, wire04.decode_authentication_reply, wire04.encode_authentication_reply
        ),
        "operation-reply": Kind(
            messages04.OperationReply,
            lambda data, _, faults: wire04.decode_operation_reply(data, faults),
            lambda reply, _: wire04.encode_operation_reply(reply),
        ),
        # draft-04 leaves UDP as it is in SOCKS 5.
        "udp": Kind(socks5.Datagram, _decode_socks5_datagram, lambda datagram, _: socks5.encode_datagram(datagram)),
        "mismatch": Kind(
            messages04.VersionMismatch,
            lambda data, version, _: wire04.decode_version_mismatch(data, version),
            lambda mismatch, _: wire04.encode_version_mismatch(mismatch),
        ),
    },
    _by_name(
        (*options04.OPTIONS, *options04.STACK_OPTIONS.values(), *options04.IDEMPOTENCE_OPTIONS.values(), RawOption)
    ),
)
DRAFTS: Mapping[str, Draft] = {"04": DRAFT_04, "11": DRAFT_11}
"""By number."""
KINDS = tuple(DRAFT_11.kinds)
