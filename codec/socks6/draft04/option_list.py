"""The list of options that ends every message of draft-04: `count`, then `kind | length (of the whole) | body` each."""

from __future__ import annotations

from itertools import pairwise

from codec.errors import NEED_DATA, LocalProtocolError, NeedData, RemoteProtocolError
from codec.socks6.draft04.options import IDEMPOTENCE_OPTIONS, OPTIONS, STACK_OPTIONS, OptionKind
from codec.socks6.option import Option, Place, RawOption
from codec.socks6.option_list import OptionFault, Options, misplaced, without_contradictions
from codec.socks6.stack import Level

MOST_OPTIONS = 255
LARGEST_OPTION = 255
"""Octets, header included."""
_HEADER_SIZE = 2
_STACK_HEADER_SIZE = 2
_LEVEL_BITS = 0x3F
_INTERPRETED = (*OPTIONS, *STACK_OPTIONS.values(), *IDEMPOTENCE_OPTIONS.values())
_BELONGING: dict[Place, frozenset[type]] = {
    place: frozenset({RawOption, *(option for option in _INTERPRETED if place in option.places)}) for place in Place
}


def encode_options(options: Options, place: Place) -> bytes:
    """The count, and all options one after the other. `LocalProtocolError` for what does not fit or belong there."""
    if len(options) > MOST_OPTIONS:
        raise LocalProtocolError(f"{len(options)} options, at most {MOST_OPTIONS} are allowed")
    return bytes((len(options),)) + b"".join([_encode_option(option, place) for option in options])


class Walk:
    """Where the options of one message begin, as far as they have come.

    Only the options themselves tell where they end. Kept from one piece of the message to the next, it makes each
    header be read once, however the message trickles in.
    """

    __slots__ = ("bounds",)

    def __init__(self) -> None:
        self.bounds: list[int] = []
        """Where each option begins, and behind them where the last one ends."""

    def is_through(self, data: bytes | bytearray, start: int) -> bool:
        """Go on over the options whose count stands at `start`; whether all have come.

        `RemoteProtocolError` for a length that cannot be.
        """
        size, bounds = len(data), self.bounds
        if not bounds:
            if size <= start:
                return False
            bounds.append(start + 1)
        while len(bounds) <= data[start]:
            begin = bounds[-1]
            if size < begin + _HEADER_SIZE:
                return False
            kind, length = data[begin], data[begin + 1]
            if length < _HEADER_SIZE:
                raise RemoteProtocolError(f"option {kind} has a bad length of {length}")
            bounds.append(begin + length)
        return size >= bounds[-1]


def decode_options(
    data: bytes | bytearray, start: int, place: Place, faults: list[OptionFault] | None, walk: Walk | None = None
) -> tuple[Options, int] | NeedData:
    """The options whose count stands at `start`, and where they end. `walk` is what came of earlier calls.

    Options that make no sense, do not belong there or contradict each other are dropped; `faults` takes note of them.
    `RemoteProtocolError` when the boundaries of the options are in doubt.
    """
    walk = walk or Walk()
    if not walk.is_through(data, start):
        return NEED_DATA
    noted: list[OptionFault] = []
    found: list[tuple[Option | RawOption, int]] = []
    for begin, end in pairwise(walk.bounds):
        try:
            found.append((_parse_option(data[begin], bytes(data[begin + _HEADER_SIZE : end]), place), begin))
        except RemoteProtocolError as error:
            noted.append(OptionFault(data[begin], begin, str(error)))
    options = without_contradictions(found, noted)
    if faults is not None:
        faults += noted
    return options, walk.bounds[-1]


def _encode_option(option: Option | RawOption, place: Place) -> bytes:
    if type(option) not in _BELONGING[place]:
        raise misplaced(option, place)
    body = option.body
    length = _HEADER_SIZE + len(body)
    if length > LARGEST_OPTION or not 0 <= option.kind <= 0xFF:
        raise LocalProtocolError(f"option {option.kind} of {length} octets does not fit draft-04")
    return bytes((option.kind, length)) + body


def _parse_option(kind: int, body: bytes, place: Place) -> Option | RawOption:
    candidates = _candidates(kind, body)
    fitting = next((option for option in candidates if place in option.places), None)
    if fitting is not None:
        return fitting.parse(body) or RawOption(kind, body)
    if candidates:
        raise RemoteProtocolError(f"{candidates[0].__name__} does not belong in the {place.title}")
    return RawOption(kind, body)


def _candidates(kind: int, body: bytes) -> list[type[Option]]:
    """The options that this may be, whatever message it stands in."""
    if kind == OptionKind.STACK:
        if len(body) < _STACK_HEADER_SIZE:
            raise RemoteProtocolError("a stack option without level and code")
        known = STACK_OPTIONS.get(body[1]) if body[0] & _LEVEL_BITS == Level.TCP else None
        return [known] if known else []
    if kind == OptionKind.IDEMPOTENCE:
        named = IDEMPOTENCE_OPTIONS.get(body[0]) if body else None
        return [named] if named else []
    return [option for option in OPTIONS if option.kind == kind]
