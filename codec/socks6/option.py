"""What an option is, and how its body stands on the wire, told beside the dataclass's own fields:

    @option
    class IdempotenceWindow(Option):
        kind = OptionKind.IDEMPOTENCE_WINDOW
        places = Place.AUTHENTICATION_REPLY
        base: int = number(4)
        size: int = number(4, least=1, most=LARGEST_WINDOW)

The codec packs and unpacks by that, and the dissector is rendered from it.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields
from enum import Flag, IntEnum, auto
from struct import Struct
from struct import error as struct_error
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from codec.errors import LocalProtocolError, RemoteProtocolError

_FORMATS = {1: "B", 2: "H", 4: "I"}
_WIRE = "wire"


class Place(Flag):
    """The messages that carry options."""

    REQUEST = auto()
    AUTHENTICATION_REPLY = auto()
    OPERATION_REPLY = auto()

    # Tables are looked up by it for every message, and the hash of an enum is computed in Python, from the name.
    __hash__ = object.__hash__

    @property
    def title(self) -> str:
        """For people."""
        return str(self.name).lower().replace("_", " ")


class OptionKind(IntEnum):
    """The kinds of draft-11 (its section "IANA Considerations"). 7 and 16 to 19 belong to older drafts."""

    STACK = 1
    AUTHENTICATION_METHOD_ADVERTISEMENT = 2
    AUTHENTICATION_METHOD_SELECTION = 3
    AUTHENTICATION_DATA = 4
    SESSION_REQUEST = 5
    SESSION_ID = 6
    SESSION_OK = 8
    SESSION_INVALID = 9
    SESSION_TEARDOWN = 10
    IDEMPOTENCE_REQUEST = 11
    IDEMPOTENCE_WINDOW = 12
    IDEMPOTENCE_EXPENDITURE = 13
    IDEMPOTENCE_ACCEPTED = 14
    IDEMPOTENCE_REJECTED = 15


@dataclass(frozen=True, slots=True)
class Wire:
    """How one field stands on the wire: a number of `size` octets between `least` and `most`."""

    size: int
    least: int
    most: int
    meanings: Mapping[int, str]
    """What some numbers mean, for people; empty when the number says it all."""
    decode: Callable[[int], Any] | None = None
    """From the number to the attribute. None: they are the same."""
    encode: Callable[[Any], int] | None = None


def number(size: int, *, least: int = 0, most: int | None = None) -> Any:
    """A field that is a number of `size` octets: 1, 2 or 4."""
    return field(metadata={_WIRE: Wire(size, least, 256**size - 1 if most is None else most, {})})


def choice(no: str, yes: str) -> Any:
    """A bool in one octet: 1 is no, 2 is yes."""
    return field(metadata={_WIRE: Wire(1, 1, 2, {1: no, 2: yes}, lambda n: n == 2, lambda wanted: 2 if wanted else 1)})


def flag() -> Any:
    """A bool in one octet: 0 or 1."""
    return field(metadata={_WIRE: Wire(1, 0, 1, {0: "no", 1: "yes"}, bool, int)})


def named(values: type[IntEnum], *, others: bool = False) -> Any:
    """A field of one octet that is a member of an enum or, with `others`, any other number."""
    members = {value.value: value for value in values}
    meanings = {value.value: value.name.lower().replace("_", " ") for value in values}
    if others:
        return field(metadata={_WIRE: Wire(1, 0, 255, meanings, lambda n: members.get(n, n), int)})
    return field(metadata={_WIRE: Wire(1, min(values), max(values), meanings, members.__getitem__, int)})


class Layout:
    """The fixed fields of an option, in the order of the wire."""

    __slots__ = ("_fields", "_interpreted", "_names", "_struct", "wires")

    def __init__(self, owner: type, alignment: int) -> None:
        found = {one.name: one.metadata[_WIRE] for one in fields(owner) if _WIRE in one.metadata}
        self.wires: Mapping[str, Wire] = found
        """By field name."""
        self._names = tuple(found)
        self._fields = tuple(found.items())
        # A field that may be any number of its size needs no second look.
        self._interpreted = tuple(
            (index, name, wire)
            for index, (name, wire) in enumerate(self._fields)
            if wire.decode or wire.least > 0 or wire.most < 256**wire.size - 1
        )
        padding = -sum(wire.size for wire in found.values()) % alignment
        self._struct = Struct(">" + "".join(_FORMATS[wire.size] for wire in found.values()) + "x" * padding)

    @property
    def size(self) -> int:
        """Octets, padding included."""
        return self._struct.size

    def pack(self, owner: object) -> bytes:
        """The octets. `LocalProtocolError` for a value out of bounds."""
        numbers = []
        for name, wire in self._fields:
            value = getattr(owner, name)
            number_ = wire.encode(value) if wire.encode else value
            if not wire.least <= number_ <= wire.most:
                raise LocalProtocolError(f"{name} is {wire.least} to {wire.most}, not {number_}")
            numbers.append(number_)
        return self._struct.pack(*numbers)

    def unpack(self, octets: bytes) -> list[Any]:
        """The values of the fields; what pads them is not looked at. `RemoteProtocolError` for what cannot be."""
        try:
            values: list[Any] = list(self._struct.unpack(octets))
        except struct_error:
            raise RemoteProtocolError(f"{len(octets)} octets where {self.size} belong") from None
        for index, name, wire in self._interpreted:
            value = values[index]
            if not wire.least <= value <= wire.most:
                raise RemoteProtocolError(f"{name} is {wire.least} to {wire.most}, not {value}")
            if wire.decode is not None:
                values[index] = wire.decode(value)
        return values

    def values(self, owner: object) -> tuple[Any, ...]:
        """The fields of `owner`, as they are."""
        return tuple(getattr(owner, name) for name in self._names)


class Option(ABC):
    """The base of all options."""

    __slots__ = ()
    kind: ClassVar[IntEnum]
    places: ClassVar[Place]
    """The messages that it may stand in."""
    layout: ClassVar[Layout]
    alignment: ClassVar[int] = 4
    """Bodies are padded with zeros to a multiple of so many octets."""

    @property
    def body(self) -> bytes:
        """The octets behind kind and length. `LocalProtocolError` for a value out of bounds."""
        return self.layout.pack(self)

    @classmethod
    def parse(cls, body: bytes) -> Self | None:
        """The option with this body, or None to keep it raw. `RemoteProtocolError` for a body that cannot be."""
        return cls(*cls.layout.unpack(body))

    def padded(self, octets: bytes) -> bytes:
        """Align a body of variable length."""
        return octets + bytes(-len(octets) % self.alignment)

    @property
    def subjects(self) -> tuple[Hashable, ...]:
        """What it is about: two options of one message about the same thing must not differ."""
        return (type(self),)

    @property
    def value(self) -> Hashable:
        """What it says about its subjects."""
        return self


OptionT = TypeVar("OptionT", bound=Option)


@dataclass_transform(frozen_default=True, field_specifiers=(number, choice, flag, named, field))
def option(cls: type[OptionT]) -> type[OptionT]:
    """Make a frozen, slotted dataclass of an option, and its layout from the fields."""
    made = dataclass(frozen=True, slots=True)(cls)
    made.layout = Layout(made, made.alignment)
    return made


@dataclass(frozen=True, slots=True)
class RawOption:
    """An option that this codec does not interpret, body as it came: it is ignored, as the draft demands."""

    kind: int
    body: bytes
