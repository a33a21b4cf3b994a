"""Where the tasks put the dissector, and what they say when they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from codec.dissector.install import FILE_NAME
from codec.dissector.render import render_dissector
from lab.errors import MpsocksError
from lab.runner import Runner
from tests.conftest import lab_on
from traces.dissector import build_dissector, install_dissector


def test_it_is_written_where_one_wants_it(here: Runner, tmp_path: Path) -> None:
    output = tmp_path / "new" / "mine.lua"
    assert build_dissector(lab_on(here, tmp_path), output) == output
    assert output.read_text() == render_dissector()
    assert list(output.parent.iterdir()) == [output]


def test_it_is_installed_where_tshark_looks(here: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    installed = install_dissector(lab_on(here, tmp_path))
    assert installed.name == FILE_NAME
    assert installed.is_relative_to(tmp_path / "home")
    assert installed.read_text() == render_dissector()


def test_what_cannot_be_written_is_told(here: Runner, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MpsocksError, match="cannot write"):
        build_dissector(lab_on(here, tmp_path), tmp_path / "file" / "socks6.lua")
