"""An example of every option at each end of its bounds, and what tshark must show of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from codec.method import AuthenticationMethod
from codec.socks6 import options as draft11
from codec.socks6.draft04 import options as draft04
from codec.socks6.option import Option, Wire
from codec.socks6.stack import Leg, StackOption

VARIABLE: dict[type[Option], list[dict[str, Any]]] = {
    draft11.AuthenticationMethodAdvertisement: [
        {"methods": ()}, {"methods": (AuthenticationMethod.USER_PASSWORD, 0, 77)}, {"methods": (1, 2, 3, 5, 6)},
    ],
    draft04.AuthenticationMethods: [{"methods": ()}, {"methods": (AuthenticationMethod.USER_PASSWORD, 77)}],
    draft11.SessionId: [{"id": b"\xfe\0\1\2"}, {"id": bytes(range(64))}],
    **{
        option: [{"user": b"alice", "password": b"s3cret"}, {"user": b"u" * 200, "password": b"x"}]
        for option in (draft11.UserPasswordData, draft04.UserPasswordData)
    },
    **{
        option: [{"success": True}, {"success": False}]
        for option in (draft11.UserPasswordResult, draft04.UserPasswordResult)
    },
}  # fmt: skip
"""The values of the fields that `Layout` does not know. An option that is new here needs an example."""
HIDDEN = ("password",)


@dataclass(frozen=True, slots=True)
class Example:
    """An option, and the fields that tshark must show of it, in order."""

    option: Option
    shown: list[tuple[str, str]]


def examples_of(option: type[Option], prefix: str) -> Iterator[Example]:
    """Options of this type, with fields below `prefix`."""
    wires = option.layout.wires
    names = [one.name for one in fields(option)]  # type: ignore[arg-type]
    bounds = itertools.product(*((wire.least, wire.most) for wire in wires.values()))
    fixed = [dict(zip(wires, numbers, strict=True)) for numbers in bounds]
    variable = VARIABLE[option] if set(names) - set(wires) - {"leg"} else [{}]
    own = prefix + re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", option.__name__).lower()
    alone = len(set(names) - {"leg"}) == 1
    for leg, numbers, others in itertools.product(_legs(option), fixed, variable):
        decoded = {name: _decoded(wires[name], number) for name, number in numbers.items()}
        values = {**({"leg": leg} if leg else {}), **decoded, **others}
        made = option(**{name: values[name] for name in names})
        shown = [
            (own if alone else f"{own}.{name}", text)
            for name in names
            if name != "leg" and name not in HIDDEN
            for text in _texts(numbers.get(name, values[name]))
        ]
        yield Example(made, shown if set(names) - {"leg"} else [(own, "")])


def _legs(option: type[Option]) -> list[Leg | None]:
    if not issubclass(option, StackOption):
        return [None]
    return [Leg.PROXY_REMOTE] if option.remote_leg_only else list(Leg)


def _decoded(wire: Wire, number: int) -> Any:
    return wire.decode(number) if wire.decode else number


def _texts(value: Any) -> list[str]:
    """How tshark prints a value in JSON; a tuple is a field for each."""
    if isinstance(value, tuple):
        return [text for one in value for text in _texts(one)]
    if isinstance(value, bool):
        return [str(int(not value))]
    if isinstance(value, bytes):
        return [value.decode() if value.isalnum() else value.hex(":")]
    return [str(int(value))]
