"""The dissector is rendered from tables: a new option needs no other change."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

import pytest

from codec.address import ANY_IPV4
from codec.command import Command
from codec.dissector.install import FOLDERS_COMMAND, plugin_path, write_dissector
from codec.dissector.render import DRAFT_11, render_dissector, to_lua
from codec.socks6 import messages, wire
from codec.socks6.option import Option, Place, RawOption, flag, named, number, option
from tests.codec.dissector.capture import Capture
from tests.codec.dissector.tshark import Tshark, merged


class NewKind(IntEnum):
    """Kinds that are for experiments."""

    LIMITS = 64513
    BLOB = 64514


class Colour(IntEnum):
    """What a named field may be."""

    DARK_RED = 5
    BLUE = 9


@option
class NewLimits(Option):
    """Fixed fields of every sort."""

    kind = NewKind.LIMITS
    places = Place.REQUEST
    rate_limit: int = number(4, most=1000)
    burst: int = number(2)
    colour: Colour = named(Colour)
    strict: bool = flag()


@option
class NewBlob(Option):
    """A field that only its class knows to read."""

    kind = NewKind.BLOB
    places = Place.REQUEST
    size: int = number(2)
    blob: bytes


@pytest.mark.slow
def test_a_new_option_is_dissected_as_soon_as_it_is_in_the_tables(tshark: Tshark, tmp_path: Path) -> None:
    path = tmp_path / "extended.lua"
    path.write_text(render_dissector((*DRAFT_11, NewLimits, NewBlob)))
    options = (
        RawOption(NewKind.LIMITS, NewLimits(77, 5, Colour.BLUE, True).body),
        RawOption(NewKind.BLOB, b"\0\3abwxyz"),
        RawOption(NewKind.LIMITS, b"\xff" * 8),
    )
    request = messages.Request(Command.CONNECT, ANY_IPV4, 9, options)
    capture = Capture()
    capture.connection().client(wire.encode_request(request))
    extended = Tshark(path, tshark.home)
    frame = merged(extended.frames(capture.write(tmp_path / "new.pcap")))
    shown = [
        (name, value)
        for name, value in frame.pairs
        if name.startswith(("socks6.option.new_", "socks6.option.data")) and not name.endswith("_tree")
    ]
    limits, blob = "socks6.option.new_limits.", "socks6.option.new_blob."
    assert shown == [
        (limits + "rate_limit", "77"), (limits + "burst", "5"), (limits + "colour", "9"), (limits + "strict", "1"),
        (blob + "size", "3"), ("socks6.option.data", "61:62:77:78:79:7a"),
        (limits + "rate_limit", str(2**32 - 1)), (limits + "burst", "65535"), (limits + "colour", "255"),
        (limits + "strict", "255"),
    ]  # fmt: skip
    assert frame.complaints == [
        "It contradicts another one", "Rate limit is 0 to 1000", "Colour is 5 to 9", "Strict is 0 to 1",
    ]  # fmt: skip
    text = extended.run(tmp_path / "new.pcap", "-V")
    assert "Option: New limits, rate limit 77, burst 5, colour blue, strict yes" in text
    assert "Colour: dark red (5)" not in text


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (None, "nil"),
        (True, "true"),
        (Colour.BLUE, "9"),
        ('a "b"\\\n', '"a \\034b\\034\\092\\010"'),
        ("\N{MICRO SIGN}", '"\\194\\181"'),
        ({1: "x"}, '{[1] = "x"}'),
        ((1, ("y",)), '{1, {"y"}}'),
    ],
)
def test_values_become_lua_literals(value: object, literal: str) -> None:
    assert to_lua(value) == literal


def test_the_dissector_is_written_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "made" / "on" / "demand" / "socks6.lua"
    assert write_dissector(path) == path
    assert path.read_text() == render_dissector()
    assert write_dissector(path) == path
    assert list(path.parent.iterdir()) == [path]


def test_the_dissector_goes_among_the_users_own_plugins(tmp_path: Path) -> None:
    folders = "Temp:\t/tmp\nPersonal Lua Plugins:\t/home/some one/plugins\nGlobal Lua Plugins:\t/usr\n"
    assert plugin_path(folders) == Path("/home/some one/plugins/socks6.lua")
    with pytest.raises(ValueError, match="built without Lua"):
        plugin_path("Temp:\t/tmp\n")


def test_tshark_finds_it_there(tmp_path: Path) -> None:
    tshark = Tshark(tmp_path, tmp_path)
    path = write_dissector(plugin_path(tshark.plugged_in(*FOLDERS_COMMAND)))
    assert path.is_relative_to(tmp_path)
    assert "socks6.request.command" in tshark.plugged_in("tshark", "-G", "fields")
