"""Built things kept under a hash of everything that went into them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
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


def existing_parent(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists: where its file system can be asked."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def require_room(folder: Path, needed: int, purpose: str) -> None:
    """Refuse to start when the file system below `folder` has less than `needed` octets free."""
    existing = existing_parent(folder)
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise MpsocksError(
            f"not enough disk room for {purpose}",
            why=f"{existing} has {free >> 20} MiB free, {needed >> 20} MiB are needed",
            hint="free some room, or point XDG_CACHE_HOME at a larger disk",
        )


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder of the cache or of the state, with those above it; `MpsocksError` when that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=mode)
    except OSError as error:
        raise MpsocksError(
            f"the folder {folder} cannot be made",
            why=str(error),
            hint="set XDG_CACHE_HOME and XDG_STATE_HOME (or INVOKE_MPSOCKS_CACHE and INVOKE_MPSOCKS_STATE)\n"
            "to folders that can be written to",
        ) from error


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of finished entries: `root/kind/key/`. An entry that exists is complete.

    What is being built or removed stands beside the entries, in a folder whose name begins with a dot. Whoever works
    on it holds a lock on the folder itself, which ends with the process: so it is known when one was killed.
    """

    root: Path

    def entry(self, kind: str, key: str) -> Path:
        """Where the entry is, or will be."""
        return self.root / kind / key

    def has(self, kind: str, key: str) -> bool:
        """Whether the entry is there."""
        return self.entry(kind, key).is_dir()

    def recall(self, kind: str, key: str, *, dry: bool = False) -> bool:
        """Whether the entry is there. It counts as used now, unless `dry`: `prune` keeps what was used last."""
        found = self.has(kind, key)
        if found and not dry:
            os.utime(self.entry(kind, key))
        return found

    @contextmanager
    def building(self, kind: str, key: str, *, dry: bool = False) -> Iterator[Path]:
        """A folder to fill. It becomes the entry when the block ends well, and is removed when it does not.

        What killed builders left is removed first. With `dry` the entry is only named, since nothing may come to be.
        """
        final = self.entry(kind, key)
        if dry:
            yield final
            return
        make_folder(final.parent)
        with _lock(final.parent):
            _remove_left_over(final.parent)
            work = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=final.parent))
            held = _descriptor(work)
            fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield work
            work.chmod(0o755)
            # Another may have built the same meanwhile, from the same inputs.
            if not final.is_dir():
                work.rename(final)
        finally:
            _remove(work)
            os.close(held)

    @contextmanager
    def locked(self, kind: str, *, dry: bool = False) -> Iterator[None]:
        """Wait for other builders of this kind, then keep them waiting until the block ends; not with `dry`."""
        if dry:
            yield
            return
        folder = self.root / kind
        make_folder(folder)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def prune(self, kind: str, keep: int, *, dry: bool = False) -> None:
        """Remove all but the `keep` entries of a kind that were made or used last."""
        folder = self.root / kind
        if dry or not folder.is_dir():
            return
        with _lock(folder):
            entries = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
            entries.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
            for entry in entries[keep:]:
                # Out of sight at once: half an entry must not be taken for a whole one.
                entry.rename(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=folder))
            _remove_left_over(folder)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Keep others from making and removing folders here until the block ends, which is soon."""
    held = _descriptor(folder)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _descriptor(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def _remove_left_over(folder: Path) -> None:
    """Remove the folders that nobody works on any more."""
    for path in folder.glob(".*"):
        if path.is_symlink() or not path.is_dir():
            continue
        held = _descriptor(path)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        except BlockingIOError:
            continue  # its builder lives
        finally:
            os.close(held)


def _remove(folder: Path) -> None:
    """Remove a folder, unless a killed build left something of the host mounted in it: /dev must not be emptied."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = (Path(line.split()[4].replace("\\040", " ")) for line in lines)
    if not any(mount.is_relative_to(folder.resolve()) for mount in mounts):
        shutil.rmtree(folder, ignore_errors=True)
