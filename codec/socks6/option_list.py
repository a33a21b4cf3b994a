"""The list of options that ends every SOCKSv6 message (draft-11 "SOCKS Options").

On the wire an option is `kind (2) | length (2, of the whole, a multiple of 4) | body`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from struct import Struct
from typing import TypeAlias, TypeVar

from codec.errors import LocalProtocolError, RemoteProtocolError
from codec.packing import pack
from codec.socks6.option import Option, OptionKind, Place, RawOption
from codec.socks6.options import OPTIONS, MisplacedDataError
from codec.socks6.stack import STACK_OPTIONS, StackOption, parse_stack_option

LARGEST_OPTIONS = 16384
"""Octets of options in one message (draft-11: "MUST NOT exceed 16 KB")."""

Options: TypeAlias = tuple[Option | RawOption, ...]
OptionT = TypeVar("OptionT", bound=Option)

_HEADER = Struct(">HH")
_PARSERS: dict[Place, dict[int, Callable[[bytes], Option | None]]] = {
    place: {
        **{option.kind.value: option.parse for option in OPTIONS if place in option.places},
        **({OptionKind.STACK.value: parse_stack_option} if place in StackOption.places else {}),
    }
    for place in Place
}
"""By the message that an option stands in, and its kind."""
# A set of the classes: asking each option for its places takes longer than all the rest of encoding it.
_BELONGING: dict[Place, frozenset[type]] = {
    place: frozenset({RawOption, *(one for one in (*OPTIONS, *STACK_OPTIONS.values()) if place in one.places)})
    for place in Place
}
_KINDS = frozenset(kind.value for kind in OptionKind)


@dataclass(frozen=True, slots=True)
class OptionFault:
    """An option that was dropped: its kind, where it starts in the octets of the options, and why."""

    kind: int
    offset: int
    why: str


def find_option(options: Options, wanted: type[OptionT]) -> OptionT | None:
    """The option of this type, if there is one."""
    for option in options:
        if isinstance(option, wanted):
            return option
    return None


def encode_options(options: Options, place: Place) -> bytes:
    """All options one after the other. `LocalProtocolError` for one that does not belong there, or cannot be sent."""
    belonging = _BELONGING[place]
    for option in options:
        if type(option) not in belonging:
            raise misplaced(option, place)
    encoded = b"".join([_encode_option(option) for option in options])
    if len(encoded) > LARGEST_OPTIONS:
        raise LocalProtocolError(f"{len(encoded)} octets of options, at most {LARGEST_OPTIONS} are allowed")
    return encoded


def decode_options(data: bytes, place: Place, faults: list[OptionFault] | None = None) -> Options:
    """The options that fill `data`.

    Equal duplicates collapse. Options that make no sense, do not belong there or contradict each other are dropped;
    `faults` takes note of them. `RemoteProtocolError` when the boundaries of the options are in doubt.
    """
    noted: list[OptionFault] = []
    options = without_contradictions(_parse_options(data, place, noted), noted)
    if faults is not None:
        faults += noted
    return options


def without_contradictions(found: list[tuple[Option | RawOption, int]], noted: list[OptionFault]) -> Options:
    """The options without those that say different things about one subject. `found` has the offset of each.

    Of equal ones, one is kept.
    """
    options = tuple([option for option, _ in found])
    # Nearly all lists end here: comparing options themselves takes longer than all the rest of decoding them.
    if len(options) < 2 or len(set(map(type, options))) == len(options):
        return options
    offsets = dict(found)
    options = tuple(offsets)
    interpreted = [option for option in options if isinstance(option, Option)]
    values: dict[Hashable, Hashable] = {}
    disputed = {
        subject
        for option in interpreted
        for subject in option.subjects
        if values.setdefault(subject, option.value) != option.value
    }
    # In the order of the message, so that two runs tell the same.
    dropped = dict.fromkeys(option for option in interpreted if disputed.intersection(option.subjects))
    noted += [OptionFault(option.kind, offsets[option], "contradicts another one") for option in dropped]
    return tuple(option for option in options if option not in dropped)


def misplaced(option: Option | RawOption, place: Place) -> LocalProtocolError:
    """What to raise for an option that must not stand in that message, or not in this draft."""
    kind = type(option)
    return LocalProtocolError(f"{kind.__name__} of {kind.__module__} does not belong in the {place.title}")


def _encode_option(option: Option | RawOption) -> bytes:
    body = option.body
    if len(body) % 4:
        raise LocalProtocolError(f"the body of option {option.kind} is not a multiple of 4 octets long")
    return pack(_HEADER, option.kind, _HEADER.size + len(body)) + body


def _parse_options(data: bytes, place: Place, faults: list[OptionFault]) -> list[tuple[Option | RawOption, int]]:
    """Each option with its offset."""
    parsers = _PARSERS[place]
    found: list[tuple[Option | RawOption, int]] = []
    start = 0
    size = len(data)
    while start < size:
        if size - start < 4:
            raise RemoteProtocolError("an option is cut off")
        kind, length = _HEADER.unpack_from(data, start)
        end = start + length
        if length < 4 or length % 4 or end > size:
            raise RemoteProtocolError(f"option {kind} has a bad length of {length}")
        body = data[start + 4 : end]
        parse = parsers.get(kind)
        try:
            if parse is None and kind in _KINDS:
                raise RemoteProtocolError(f"{OptionKind(kind).name} does not belong in the {place.title}")
            option = parse(body) if parse else None
            found.append((option or RawOption(kind, body), start))
        except MisplacedDataError:
            raise
        except RemoteProtocolError as error:
            faults.append(OptionFault(kind, start, str(error)))
        start = end
    return found
