"""What the dissector needs to know of an option: where it stands, its fields, their sizes, bounds and names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from codec.method import AuthenticationMethod
from codec.socks6 import options as draft11
from codec.socks6.draft04 import options as draft04
from codec.socks6.option import Option, Place
from codec.socks6.stack import StackOption

Meanings = Mapping[int, str]
OptionType = type[Option]


@dataclass(frozen=True, slots=True)
class Field:
    """A field that one can filter by."""

    filter: str
    title: str
    type: str
    """As in Lua: ProtoField[type]."""
    meanings: Meanings
    size: int = 0
    """Octets on the wire; 0 when only Lua knows."""
    least: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """An option, as the Lua code walks through it."""

    title: str
    kind: int
    selector: str
    """What tells it from others of its kind: "stack", "type" or nothing."""
    key: int
    """What the selector reads for it."""
    places: tuple[str, ...]
    fixed: tuple[Field, ...]
    """One after the other, behind what the selector reads."""
    size: int
    """Octets of the fixed fields, padding included."""
    presence: Field | None
    """For an option that says nothing but that it is there."""
    reader: str
    """The Lua function that reads what follows the fixed fields; "raw" shows it as it is, "" insists on nothing."""
    variable: tuple[Field, ...]
    """The fields that the Lua function fills, in the order of the dataclass."""
    remote_leg_only: bool


@dataclass(frozen=True, slots=True)
class Reader:
    """A Lua function for bodies of variable length, and the type and meanings of each field that it fills."""

    function: str
    fields: Mapping[str, tuple[str, Meanings]]


def words(name: str) -> str:
    """The words of a Python name: of `IdempotenceWindow`, IDEMPOTENCE_WINDOW and idempotence_window."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", name).lower()


def meanings_of(values: Iterable[Any]) -> Meanings:
    """The members of an enum of octets, for people."""
    return {member.value: words(member.name) for member in values}


_METHODS = meanings_of(AuthenticationMethod)
_CREDENTIALS = Reader("credentials", {"user": ("string", {}), "password": ("string", {})})
_STATUS = Reader("status", {"success": ("uint8", {0: "success", 1: "failure"})})
_READERS: Mapping[OptionType, Reader] = {
    draft11.AuthenticationMethodAdvertisement: Reader("methods", {"methods": ("uint8", _METHODS)}),
    draft04.AuthenticationMethods: Reader("methods", {"methods": ("uint8", _METHODS)}),
    draft11.UserPasswordData: _CREDENTIALS,
    draft04.UserPasswordData: _CREDENTIALS,
    draft11.UserPasswordResult: _STATUS,
    draft04.UserPasswordResult: _STATUS,
    draft11.SessionId: Reader("session_id", {"id": ("bytes", {})}),
}
_RAW = Reader("raw", {})
_NOTHING = Reader("", {})


def shape_of(option: OptionType, prefix: str) -> Shape:
    """The shape of an option whose fields are filtered by `prefix`, "socks6." for example, and its own name."""
    stack = issubclass(option, StackOption)
    wires = option.layout.wires
    others = [one.name for one in fields(option) if one.name not in wires and not (stack and one.name == "leg")]  # type: ignore[arg-type]
    reader = _READERS.get(option, _RAW) if others else _NOTHING
    own = f"{prefix}{'stack' if stack else 'option'}.{words(option.__name__).replace(' ', '_')}"
    alone = len(wires) + len(others) == 1

    def field(name: str, kind: str, meanings: Meanings, *bounds: int) -> Field:
        title = words(option.__name__ if alone else name)
        return Field(own if alone else f"{own}.{name}", _capital(title), kind, meanings, *bounds)

    fixed = tuple(
        field(name, f"uint{8 * wire.size}", wire.meanings, wire.size, wire.least, wire.most)
        for name, wire in wires.items()
    )
    title = _capital(words(option.__name__))
    selector, key = _selector(option)
    return Shape(
        title=title, kind=option.kind.value, selector=selector, key=key,
        places=tuple(str(place.name).lower() for place in Place if place in option.places),
        fixed=fixed, size=option.layout.size,
        presence=None if wires or others else Field(own, title, "none", {}),
        reader=reader.function,
        variable=tuple(field(name, *reader.fields[name]) for name in others if name in reader.fields),
        remote_leg_only=issubclass(option, StackOption) and option.remote_leg_only,
    )  # fmt: skip


def _selector(option: OptionType) -> tuple[str, int]:
    if issubclass(option, StackOption):
        return "stack", option.level << 8 | option.code
    if issubclass(option, draft04.IdempotenceOption):
        return "type", option.type_octet
    return "", 0


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]
