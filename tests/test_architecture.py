"""Who may import whom: the contracts in `pyproject.toml`, checked by import-linter over the real import graph."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = {"codec", "guest", "images", "kernel", "lab", "proxy", "traces"}


def test_the_import_contracts_are_kept(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()",
         "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_folder_is_under_a_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert set(contracts["root_packages"]) == FOLDERS
    there = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert there - {"tests"} == FOLDERS


def test_the_data_plane_needs_nothing_but_python() -> None:
    """`proxy` and `codec` are copied into the guest, where there is Python and nothing else."""
    script = "import pkgutil, importlib, proxy, codec\n" + (
        "for package in (proxy, codec):\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not found.name.endswith('__main__') and '.dissector' not in found.name:\n"
        "            importlib.import_module(found.name)\n"
    )
    # -S leaves out the site packages of this environment.
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
