"""The folder of a run: only its owner can look into it, and nothing that was there is overwritten."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from lab.cache import make_folder
from lab.errors import BadInputError, MpsocksError

OWNER_ONLY = 0o700


def make_run_folder(state: Path, chosen: Path | None) -> Path:
    """The folder that was chosen, which must be new or empty; without one, a new one below `state` named by the time.

    `BadInputError` when there is something in it.
    """
    if chosen is None:
        make_folder(state, OWNER_ONLY)
        return _dated(state / "captures")
    folder = chosen.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInputError(
            f"{chosen} is there already",
            why="a run never overwrites another",
            hint="name a folder that is new or empty",
        )
    make_folder(folder.parent)
    make_folder(folder, OWNER_ONLY)
    return folder


def _dated(parent: Path) -> Path:
    make_folder(parent, OWNER_ONLY)
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for number in count(1):
        folder = parent / (now if number == 1 else f"{now}-{number}")
        try:
            folder.mkdir(mode=OWNER_ONLY)
        except FileExistsError:
            continue
        except OSError as error:
            raise MpsocksError(
                f"the folder {folder} cannot be made", why=str(error), hint="name another one with --out"
            ) from error
        return folder
    raise AssertionError("numbers do not end")
