"""The run's folder: nobody else looks into it, and nothing in it is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import BadInputError
from traces.capturing.folder import make_run_folder


def test_each_run_has_one_of_its_own(tmp_path: Path) -> None:
    folders = [make_run_folder(tmp_path / "state", None) for _ in range(3)]
    assert len(set(folders)) == 3
    assert {folder.parent for folder in folders} == {tmp_path / "state" / "captures"}
    for private in (*folders, folders[0].parent, tmp_path / "state"):
        assert private.stat().st_mode & 0o777 == 0o700


def test_one_that_was_chosen_is_made(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path, tmp_path / "deep" / "run")
    assert folder == tmp_path / "deep" / "run"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_an_empty_one_is_taken_as_it_is(tmp_path: Path) -> None:
    assert make_run_folder(tmp_path / "state", tmp_path) == tmp_path


def test_one_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "capture.pcapng").write_text("of another run")
    for taken in (tmp_path, tmp_path / "capture.pcapng"):
        with pytest.raises(BadInputError, match="is there already"):
            make_run_folder(tmp_path / "state", taken)
    assert (tmp_path / "capture.pcapng").read_text() == "of another run"
