"""A file of users, as `mpsocks user` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from proxy.users import Hash


def users_file(folder: Path, users: Mapping[str, Hash]) -> Path:
    """The file `users` in the folder, written anew with these names and the hashes of their passwords."""
    path = folder / "users"
    path.touch(0o600)
    path.write_text("".join(f"{name}:{one}\n" for name, one in users.items()))
    return path
