"""The proxy as one file."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from proxy import __version__
from proxy.bundle import build_zipapp


def test_the_same_sources_make_the_same_octets(tmp_path: Path) -> None:
    first = build_zipapp(tmp_path / "first.pyz")
    assert first.read_bytes() == build_zipapp(tmp_path / "second.pyz").read_bytes()


def test_it_holds_the_codec_and_the_proxy_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_zipapp(tmp_path / "mpsocks.pyz")) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {"__main__.py", "codec", "proxy"}
    assert not [name for name in names if "dissector" in name or "test" in name]


def test_it_runs_on_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-I", str(build_zipapp(tmp_path / "mpsocks.pyz")), "--version"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout == f"mpsocks {__version__}\n"
