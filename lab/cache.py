"""Built things kept under a hash of everything that went into them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import MpsocksError


def fingerprint(inputs: Any) -> str:
    """Sixteen hex digits of SHA-256 over `inputs`, which must be plain JSON data."""
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_room(folder: Path, needed: int, purpose: str) -> None:
    """Refuse to start when the file system below `folder` has less than `needed` octets free."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise MpsocksError(
            f"not enough disk room for {purpose}",
            why=f"{existing} has {free >> 20} MiB free, {needed >> 20} MiB are needed",
            hint="free some room, or point XDG_CACHE_HOME at a larger disk",
        )


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of finished entries: `root/kind/key/`. An entry that exists is complete."""

    root: Path

    def entry(self, kind: str, key: str) -> Path:
        """Where the entry is, or will be."""
        return self.root / kind / key

    def has(self, kind: str, key: str) -> bool:
        return self.entry(kind, key).is_dir()

    @contextmanager
    def building(self, kind: str, key: str) -> Iterator[Path]:
        """A folder to fill. It becomes the entry when the block ends well, and is removed when it does not."""
        final = self.entry(kind, key)
        final.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=final.parent))
        try:
            yield work
            work.chmod(0o755)
            # Another may have built the same meanwhile, from the same inputs.
            if not final.is_dir():
                work.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    @contextmanager
    def locked(self, kind: str) -> Iterator[None]:
        """Wait for other builders of this kind, then keep them waiting until the block ends."""
        folder = self.root / kind
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def prune(self, kind: str, keep: int) -> None:
        """Remove all but the `keep` newest entries of a kind."""
        entries = sorted(
            (entry for entry in (self.root / kind).iterdir() if entry.is_dir() and not entry.name.startswith(".")),
            key=lambda entry: entry.stat().st_mtime,
            reverse=True,
        )
        for entry in entries[keep:]:
            shutil.rmtree(entry)
