"""Messages as JSON and back: fields by their names, enums by name, octets in hex.

An option says which one it is under `option`, a message of a UDP association under `message`: the name of its class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from codec.socks6 import udp
from codec.socks6.option import Option, RawOption

OPTION = "option"
MESSAGE = "message"
Classes = Mapping[str, type]
"""What `option` or `message` may name."""


class JsonFormError(ValueError):
    """JSON that describes no message; the text says where, and what would be right."""


def to_json(value: Any) -> Any:
    """A message, or any part of one, as what `json.dumps` takes."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [to_json(one) for one in value]
    if is_dataclass(value):
        named = {one.name: to_json(getattr(value, one.name)) for one in fields(value)}
        if isinstance(value, Option | RawOption):
            return {OPTION: type(value).__name__, **named}
        return {MESSAGE: type(value).__name__, **named} if isinstance(value, udp.UdpMessage) else named
    return value


def from_json(kind: Any, value: Any, classes: Classes, where: str = "the message") -> Any:
    """The instance of `kind`, a dataclass or any annotation of a field, that `value` describes.

    `classes` are the options and UDP messages that it may name. Raises `JsonFormError`.
    """
    members = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return _one_of(members, value, classes, where)
    if get_origin(kind) is tuple:
        _demand(isinstance(value, list), where, "a list", value)
        return tuple(from_json(members[0], one, classes, f"{where}[{index}]") for index, one in enumerate(value))
    if issubclass(kind, Enum):
        return _member(kind, value, where)
    if is_dataclass(kind):
        return _instance(kind, value, classes, where)
    if kind is bytes:
        return _octets(value, where)
    # A bool is an int to Python, but not to a reader of JSON.
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    _demand(right, where, {bool: "true or false", int: "a number", str: "a text"}[kind], value)
    return value


def _one_of(members: tuple[Any, ...], value: Any, classes: Classes, where: str) -> Any:
    enums = [member for member in members if issubclass(member, Enum)]
    if enums:  # an enum, or a plain number where the octet is unknown
        return value if type(value) is int and value not in list(enums[0]) else _member(enums[0], value, where)
    key = OPTION if RawOption in members else MESSAGE
    _demand(isinstance(value, dict) and key in value, where, f"an object with {key!r}", value)
    named = classes.get(value[key]) if isinstance(value[key], str) else None
    if named is None or not issubclass(named, members):
        raise JsonFormError(f"{where}: there is no {key} {value[key]!r}; there are {', '.join(sorted(classes))}")
    return _instance(named, {name: one for name, one in value.items() if name != key}, classes, where)


def _instance(kind: Any, value: Any, classes: Classes, where: str) -> Any:
    _demand(isinstance(value, dict), where, "an object", value)
    hints = get_type_hints(kind)
    known = {one.name: one for one in fields(kind)}
    if unknown := value.keys() - known.keys():
        raise JsonFormError(f"{where}: no field {', '.join(sorted(unknown))}; there are {', '.join(known) or 'none'}")
    missing = [name for name, one in known.items() if name not in value and one.default is MISSING]
    if missing:
        raise JsonFormError(f"{where}: {', '.join(missing)} is missing")
    return kind(**{name: from_json(hints[name], one, classes, f"{where}.{name}") for name, one in value.items()})


def _member(kind: type[Enum], value: Any, where: str) -> Enum:
    """A member by its name, or by its number."""
    for member in kind:
        if value == member.name or (type(value) is int and value == member.value):
            return member
    raise JsonFormError(f"{where}: {value!r} is none of {', '.join(member.name for member in kind)}")


def _octets(value: Any, where: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        raise JsonFormError(f"{where}: {value!r} is not octets in hex") from None


def _demand(holds: bool, where: str, what: str, value: Any) -> None:
    if not holds:
        raise JsonFormError(f"{where}: {value!r} is not {what}")
