"""The code is checked by its linters, and its files stay small."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LONGEST_FILE = 400

# Longer files, each with the reason.
LONGER_FILES: dict[str, str] = {"tasks.py": "every task is in it, and no logic"}


def run(*arguments: str) -> None:
    """Run a linter of this environment over the whole project; fail with what it says."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}{done.stderr}"


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", "--no-fix", ".")


def test_every_file_is_formatted() -> None:
    run("ruff", "format", "--check", ".")


def test_types_are_consistent() -> None:
    run("mypy")


def sources() -> list[Path]:
    """The Python files under version control, and those that soon will be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def test_no_file_is_long_without_a_reason() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}
    assert len(lengths) > 50
    longer = {name for name, length in lengths.items() if length > LONGEST_FILE}
    assert longer == set(LONGER_FILES)


def locked() -> dict[str, Requirement]:
    lines = (ROOT / ".requirements.lock").read_text().splitlines()
    return {canonicalize_name(one.name): one for one in map(Requirement, lines)}


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["test"]]


@pytest.mark.parametrize("requirement", requirements())
def test_every_requirement_is_locked_to_one_version_that_satisfies_it(requirement: str) -> None:
    wanted = Requirement(requirement)
    one = locked()[canonicalize_name(wanted.name)]
    (pin,) = one.specifier
    assert pin.operator == "=="
    assert pin.version in wanted.specifier
    assert str(one.marker) == str(wanted.marker)
