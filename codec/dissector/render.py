"""Rendering the dissector: one Lua file for every Wireshark from 4.0 on, whether its Lua is 5.2 or 5.4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from codec.address import AddressType
from codec.command import Command
from codec.dissector.shapes import Field, OptionType, Shape, meanings_of, shape_of
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.socks6 import messages, options, stack, udp
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import options as options04
from codec.socks6.option import OptionKind
from codec.socks6.option_list import LARGEST_OPTIONS

DRAFT_11: tuple[OptionType, ...] = (*options.OPTIONS, *stack.STACK_OPTIONS.values())
DRAFT_04: tuple[OptionType, ...] = (
    *options04.OPTIONS, *options04.STACK_OPTIONS.values(), *options04.IDEMPOTENCE_OPTIONS.values(),
)  # fmt: skip
TEMPLATE = "socks6.lua.j2"
FIRST_EXPERIMENTAL_KIND = 64512
"""From here to 65535 (draft-11 "IANA Considerations")."""
_OLDER_KINDS = {
    7: "session untrusted (draft-07 to 09)",
    16: "resolution request (draft-07)",
    17: "IPv4 resolution (draft-07)",
    18: "IPv6 resolution (draft-07)",
    19: "domain name resolution (draft-07)",
}


def render_dissector(draft11: Iterable[OptionType] = DRAFT_11, draft04: Iterable[OptionType] = DRAFT_04) -> str:
    """The dissector as Lua source, for these options."""
    shapes = {
        11: [shape_of(option, "socks6.") for option in draft11],
        4: [shape_of(option, "socks6.draft04.") for option in draft04],
    }
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["lua"] = to_lua
    return environment.get_template(TEMPLATE).render(
        options={draft: _by_kind(known) for draft, known in shapes.items()},
        option_fields=_option_fields(shape for known in shapes.values() for shape in known),
        kinds={11: _OLDER_KINDS | dict(meanings_of(OptionKind)), 4: meanings_of(options04.OptionKind)},
        authentication_types={
            11: meanings_of(messages.AuthenticationType), 4: meanings_of(messages04.AuthenticationType)
        },
        commands={command.value: command.name.replace("_", " ") for command in Command},
        largest_options=LARGEST_OPTIONS,
        first_experimental_kind=FIRST_EXPERIMENTAL_KIND,
        address_types=meanings_of(AddressType), reply_codes=meanings_of(ReplyCode),
        methods=meanings_of(AuthenticationMethod), legs=meanings_of(stack.Leg), levels=meanings_of(stack.Level),
        udp_types=meanings_of(udp.MessageType), udp_errors=meanings_of(udp.ErrorCode),
        command=_numbers(Command), address_type=_numbers(AddressType), method=_numbers(AuthenticationMethod),
        udp_type=_numbers(udp.MessageType),
    )  # fmt: skip


def to_lua(value: Any) -> str:
    """A Lua literal: a table for a dataclass, a mapping or a sequence; nil for None."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, str):
        # Decimal escapes are the ones that all versions of Lua share.
        return (
            '"' + "".join(c if c.isascii() and (c.isalnum() or c in " _.,:()-") else _escaped(c) for c in value) + '"'
        )
    if is_dataclass(value):
        value = {one.name: getattr(value, one.name) for one in fields(value)}
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"[{to_lua(key)}] = {to_lua(item)}" for key, item in value.items()) + "}"
    return "{" + ", ".join(to_lua(item) for item in value) + "}"


def _escaped(character: str) -> str:
    return "".join(f"\\{octet:03d}" for octet in character.encode())


def _numbers(values: type[IntEnum]) -> dict[str, int]:
    """For Lua code that must know a member by name."""
    return {value.name: value.value for value in values}


def _by_kind(shapes: Iterable[Shape]) -> dict[int, dict[str, Any]]:
    """The shapes by kind, and then by what their selector reads: more than one when the place tells them apart."""
    kinds: dict[int, dict[str, Any]] = {}
    for shape in shapes:
        kind = kinds.setdefault(shape.kind, {"selector": shape.selector, "shapes": {}})
        kind["shapes"].setdefault(shape.key, []).append(shape)
    return kinds


def _option_fields(shapes: Iterable[Shape]) -> dict[str, Field]:
    """All fields by filter."""
    return {
        field.filter: field
        for shape in shapes
        for field in (*shape.fixed, *shape.variable, *((shape.presence,) if shape.presence else ()))
    }
