"""The option list that ends every SOCKSv6 message (draft-11 "SOCKS Options").

On the wire an option is `kind (2) | length (2, of the whole, a multiple of 4) | body`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import TypeAlias, TypeVar

from codec.errors import LocalProtocolError, RemoteProtocolError
from codec.socks6.stack import BODY_LENGTH, STACK_KIND, Leg, StackOption, parse_stack_option

LARGEST_OPTIONS = 16384
"""Octets of options in one message (draft-11: "MUST NOT exceed 16 KB")."""

_HEADER = Struct(">HH")


@dataclass(frozen=True, slots=True)
class RawOption:
    """An option that this codec does not interpret, body as it came: it is ignored, as the draft demands."""

    kind: int
    body: bytes


Option: TypeAlias = StackOption | RawOption
Options: TypeAlias = tuple[Option, ...]
OptionT = TypeVar("OptionT", bound=StackOption)


def find_option(options: Options, wanted: type[OptionT]) -> OptionT | None:
    """The option of this type, if there is one."""
    return next((option for option in options if isinstance(option, wanted)), None)


def encode_options(options: Options) -> bytes:
    """All options one after the other."""
    encoded = b"".join(map(_encode_option, options))
    if len(encoded) > LARGEST_OPTIONS:
        raise LocalProtocolError(f"{len(encoded)} octets of options, at most {LARGEST_OPTIONS} are allowed")
    return encoded


def decode_options(data: bytes) -> Options:
    """The options that fill `data`. Equal duplicates collapse; stack options that contradict each other are dropped."""
    options = tuple(dict.fromkeys(_parse_options(data)))
    return _without_contradictions(options) if len(options) > 1 else options


def _without_contradictions(options: Options) -> Options:
    values: dict[tuple[type[StackOption], Leg], bytes] = {}
    disputed = {
        key
        for option in options
        if isinstance(option, StackOption)
        for key in _subjects(option)
        if values.setdefault(key, option.value) != option.value
    }
    if not disputed:
        return options
    return tuple(o for o in options if not (isinstance(o, StackOption) and disputed.intersection(_subjects(o))))


def _subjects(option: StackOption) -> list[tuple[type[StackOption], Leg]]:
    """What the option is about: one entry for each leg that it covers."""
    return [(type(option), leg) for leg in (Leg.CLIENT_PROXY, Leg.PROXY_REMOTE) if option.leg & leg]


def _encode_option(option: Option) -> bytes:
    if isinstance(option, StackOption):
        return _HEADER.pack(STACK_KIND, _HEADER.size + BODY_LENGTH) + option.body
    if len(option.body) % 4:
        raise LocalProtocolError(f"the body of option {option.kind} is not a multiple of 4 octets long")
    return _HEADER.pack(option.kind, _HEADER.size + len(option.body)) + option.body


def _parse_options(data: bytes) -> Iterator[Option]:
    start = 0
    while start < len(data):
        if len(data) - start < _HEADER.size:
            raise RemoteProtocolError("an option is cut off")
        kind, length = _HEADER.unpack_from(data, start)
        end = start + length
        if length < _HEADER.size or length % 4 or end > len(data):
            raise RemoteProtocolError(f"option {kind} has a bad length of {length}")
        body = data[start + _HEADER.size : end]
        yield (parse_stack_option(body) if kind == STACK_KIND else None) or RawOption(kind, body)
        start = end
