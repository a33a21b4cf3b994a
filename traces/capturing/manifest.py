"""The manifest of a capture: under which circumstances it was taken, and what is in its folder."""

from __future__ import annotations

import json
import os
import platform
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.cache import file_digest
from lab.runner import Runner

ROOT = Path(__file__).parent.parent.parent
NAME = "manifest.json"
FORMAT = 1
OWNER_ONLY = 0o600
GIT_SECONDS = 10


def application() -> str:
    """Name and version of this program, as capture files have it."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return f"mpsocks {version}"


def versions(host: Runner) -> dict[str, str]:
    """Of this program, with the commit where it is a clone, and of what runs it."""
    asked = host.probe("git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12", timeout=GIT_SECONDS)
    return {"mpsocks": application().split()[1], "commit": asked.stdout.strip(), "python": platform.python_version()}


def timestamp(nanoseconds: int) -> str:
    """A time since 1970 as ISO 8601 has it, in UTC, with microseconds."""
    moment = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 1_000_000_000 // 1000:06d}Z"


def files_in(folder: Path) -> list[dict[str, Any]]:
    """Name, octets and SHA-256 of every file that a run folder holds, but for the manifest."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name != NAME)
    return [{"name": path.name, "octets": path.stat().st_size, "sha256": file_digest(path)} for path in paths]


def write_manifest(folder: Path, content: dict[str, Any]) -> Path:
    """Write it, for its owner only and all at once."""
    path, unfinished = folder / NAME, folder / f".{NAME}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps({"format": FORMAT, **content}, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    return path
