"""The prober as the one file that goes into the guest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from traces.neutrality.prober.bundle import build_prober


def test_it_runs_where_there_is_nothing_but_python(tmp_path: Path) -> None:
    """-I and -S: neither this checkout nor the site packages are in reach. Port 1 answers nobody."""
    prober = build_prober(tmp_path / "prober.pyz")
    where = ("--source", "127.0.0.1", "--target", "127.0.0.1", "--port", "1")
    what = ("--host", "x", "--path", "/", "--octets", "1", "--seconds", "1", "--patience", "1")
    done = subprocess.run(
        [sys.executable, "-I", "-S", prober, "fetch", *where, *what],
        cwd=tmp_path, env={}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["complete"] is False


def test_equal_sources_make_equal_octets(tmp_path: Path) -> None:
    one, other = (build_prober(tmp_path / name).read_bytes() for name in ("one.pyz", "other.pyz"))
    assert one == other
