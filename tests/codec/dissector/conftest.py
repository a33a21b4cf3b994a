"""The dissector as it is rendered now, loaded by tshark."""

from __future__ import annotations

import pytest

from codec.dissector.render import render_dissector
from tests.codec.dissector.tshark import Tshark


@pytest.fixture(scope="session")
def tshark(tmp_path_factory: pytest.TempPathFactory) -> Tshark:
    folder = tmp_path_factory.mktemp("dissector")
    (folder / "home").mkdir()
    path = folder / "socks6.lua"
    path.write_text(render_dissector())
    return Tshark(path, folder / "home")
