"""The cache: an entry that exists is whole, and equal inputs have equal keys."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cache import Cache, existing_parent, file_digest, fingerprint, require_room
from lab.errors import MpsocksError

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def build(cache: Cache, key: str, content: str = "content") -> None:
    with cache.building("images", key) as folder:
        (folder / "file").write_text(content)


class TestBuilding:
    def test_the_folder_becomes_the_entry(self, cache: Cache) -> None:
        assert not cache.has("images", "k")
        build(cache, "k")
        assert cache.has("images", "k")
        assert (cache.entry("images", "k") / "file").read_text() == "content"

    def test_until_it_is_done_there_is_no_entry(self, cache: Cache) -> None:
        with cache.building("images", "k"):
            assert not cache.has("images", "k")

    @pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
    def test_a_builder_that_fails_leaves_nothing(self, cache: Cache, error: BaseException) -> None:
        def fail() -> None:
            with cache.building("images", "k") as folder:
                (folder / "half").write_text("half")
                raise error

        with pytest.raises(type(error)):
            fail()
        assert list((cache.root / "images").iterdir()) == []

    def test_a_second_builder_of_the_same_entry_leaves_the_first_ones(self, cache: Cache) -> None:
        with cache.building("images", "k") as late:
            (late / "file").write_text("late")
            build(cache, "k", "early")
        assert (cache.entry("images", "k") / "file").read_text() == "early"
        assert [path.name for path in (cache.root / "images").iterdir()] == ["k"]

    def test_an_entry_can_be_read_by_others(self, cache: Cache) -> None:
        build(cache, "k")
        assert cache.entry("images", "k").stat().st_mode & 0o777 == 0o755

    def test_dry_only_names_the_entry(self, cache: Cache) -> None:
        with cache.building("images", "k", dry=True) as folder, cache.locked("images", dry=True):
            assert folder == cache.entry("images", "k")
        cache.prune("images", 0, dry=True)
        assert not cache.root.exists()

    def test_kinds_do_not_mix(self, cache: Cache) -> None:
        build(cache, "k")
        assert not cache.has("kernels", "k")


class TestPruning:
    def test_the_newest_stay(self, cache: Cache) -> None:
        for age, key in enumerate(("new", "middle", "old")):
            build(cache, key)
            os.utime(cache.entry("images", key), (1e9 - age, 1e9 - age))
        cache.prune("images", 2)
        assert [cache.has("images", key) for key in ("new", "middle", "old")] == [True, True, False]

    def test_what_is_being_built_stays(self, cache: Cache) -> None:
        with cache.building("images", "k") as folder, cache.locked("images"):
            cache.prune("images", 0)
            assert folder.exists()
            assert (cache.root / "images" / ".lock").exists()

    def test_an_entry_that_is_asked_for_counts_as_new(self, cache: Cache) -> None:
        for key in ("used", "looked at", "never"):
            build(cache, key)
            os.utime(cache.entry("images", key), (1e9, 1e9))
        assert cache.recall("images", "used")
        assert cache.recall("images", "looked at", dry=True)
        assert not cache.recall("images", "missing")
        cache.prune("images", 1)
        assert [path.name for path in (cache.root / "images").iterdir()] == ["used"]

    def test_a_kind_of_which_there_is_nothing_is_no_error(self, cache: Cache) -> None:
        cache.prune("images", 2)
        assert not cache.root.exists()


class TestKilledBuilders:
    """A builder that is killed cannot clean up: the next one does."""

    @staticmethod
    def killed(cache: Cache, key: str) -> Path:
        """The folder that a builder left when it was killed half-way."""
        script = f"""
import os, signal
from pathlib import Path
from lab.cache import Cache
with Cache(Path({str(cache.root)!r})).building("images", {key!r}) as folder:
    (folder / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""
        before = set((cache.root / "images").glob(".*"))
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
        assert done.returncode == -signal.SIGKILL
        (left,) = set((cache.root / "images").glob(".*")) - before
        assert (left / "half").exists()
        return left

    def test_the_next_builder_removes_what_they_left(self, cache: Cache) -> None:
        left = self.killed(cache, "k")
        build(cache, "another")
        assert not left.exists()
        assert [path.name for path in (cache.root / "images").iterdir()] == ["another"]

    def test_what_another_builds_meanwhile_stays(self, cache: Cache) -> None:
        with cache.building("images", "slow") as slow:
            left = self.killed(cache, "k")
            build(cache, "quick")
            assert not left.exists()
            assert slow.exists()
        assert cache.has("images", "slow")

    def test_what_they_left_mounted_is_not_emptied(self, cache: Cache, mounted: Path) -> None:
        assert not cache.has("images", "k")
        build(cache, "another")
        assert (mounted / "of the host").exists()

    @pytest.fixture
    def mounted(self, cache: Cache, tmp_path: Path) -> Iterator[Path]:
        """A folder of the host, mounted in what a killed builder left; its path has a space in it."""
        hosts, place = tmp_path / "host", self.killed(cache, "with space") / "dev"
        for folder in (hosts, place):
            folder.mkdir()
        (hosts / "of the host").touch()
        if subprocess.run(["mount", "--bind", hosts, place], check=False, capture_output=True).returncode:
            pytest.skip("this machine lets nobody mount")
        yield hosts
        subprocess.run(["umount", place], check=True)


def test_builders_of_one_kind_wait_for_each_other(cache: Cache) -> None:
    order: list[str] = []

    def second() -> None:
        with cache.locked("images"):
            order.append("second")

    waiting = threading.Thread(target=second)
    with cache.locked("images"):
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


class TestFingerprints:
    def test_order_does_not_count_and_everything_else_does(self) -> None:
        assert fingerprint({"a": 1, "b": [2, 3]}) == fingerprint({"b": [2, 3], "a": 1})
        assert len({fingerprint(inputs) for inputs in ({"a": 1}, {"a": "1"}, {"a": [1]}, {"b": 1}, [1], None)}) == 6

    def test_they_are_sixteen_hex_digits_and_stay_so(self) -> None:
        assert fingerprint({"suite": "trixie"}) == "61a5e8ca1a01868f"

    def test_a_files_digest_is_its_sha256(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        assert file_digest(tmp_path / "empty").startswith("e3b0c44298fc1c149afbf4c8996fb924")


class TestFolders:
    @pytest.mark.parametrize("parent", ["/proc/x", "/etc/hostname"])
    def test_one_that_cannot_be_made_is_told_with_the_setting(self, parent: str) -> None:
        cache = Cache(Path(parent, "mpsocks"))
        for attempt in (cache.locked("images"), cache.building("images", "k")):
            with pytest.raises(MpsocksError, match=f"the folder {parent}/mpsocks/images cannot be made") as refused:
                attempt.__enter__()
            assert "XDG_CACHE_HOME" in refused.value.hint

    def test_a_file_system_is_asked_at_the_nearest_folder_that_exists(self, tmp_path: Path) -> None:
        assert existing_parent(tmp_path / "not" / "there") == tmp_path
        assert existing_parent(tmp_path) == tmp_path


class TestRoom:
    def test_enough_is_no_error_also_for_a_folder_that_is_not_there_yet(self, tmp_path: Path) -> None:
        require_room(tmp_path / "not" / "there", 1, "a test")

    def test_too_little_is_refused_with_figures(self, tmp_path: Path) -> None:
        needed = shutil.disk_usage(tmp_path).total + (1 << 30)
        with pytest.raises(MpsocksError, match="not enough disk room for the guest image") as refused:
            require_room(tmp_path / "not" / "there", needed, "the guest image")
        assert f"{needed >> 20} MiB are needed" in refused.value.why
        assert refused.value.why.startswith(str(tmp_path))
        assert "XDG_CACHE_HOME" in refused.value.hint
