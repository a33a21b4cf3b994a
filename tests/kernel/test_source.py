"""Sources as they come into the cache: whole, checked, and once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import kernel.source
from kernel.recipe import GitSource, SuiteSource, TarballSource
from kernel.source import newest, obtain, pinned
from lab.cache import Cache, file_digest
from lab.errors import BadInputError, MpsocksError
from lab.progress import Progress
from lab.runner import Runner


@pytest.fixture
def tarball(toy_tree: Path, tmp_path: Path) -> TarballSource:
    archive = tmp_path / "linux-6.99.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", toy_tree.parent, toy_tree.name], check=True)
    return TarballSource(str(archive), file_digest(archive))


@pytest.fixture
def repository(toy_tree: Path) -> GitSource:
    """A git repository with the tag v1, and one more commit on the branch main."""
    git = ["git", "-C", str(toy_tree), "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "init", "--quiet", "--initial-branch=main"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "one"], check=True)
    subprocess.run([*git, "tag", "-a", "v1", "-m", "one"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "two"], check=True)
    return GitSource(f"file://{toy_tree}", "v1")


def commit_of(source: GitSource, ref: str) -> str:
    return rev_parse(Path(source.url.removeprefix("file://")), f"{ref}^{{}}")


def rev_parse(folder: Path, name: str) -> str:
    command = ["git", "-C", str(folder), "rev-parse", name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_versions_are_compared_as_numbers() -> None:
    assert newest(["linux-source-6.1", "linux-source-6.12", "linux-source-6.9"]) == "linux-source-6.12"


def test_a_tarball_is_unpacked_without_its_top_folder(
    tarball: TarballSource, runner: Runner, cache: Cache, progress: Progress
) -> None:
    tree = obtain(tarball, runner, cache, progress)
    assert (tree.source / "scripts/kconfig/merge_config.sh").is_file()
    assert tree.build.is_dir()
    assert not tree.source.with_name("source.part").exists()


def test_a_tarball_is_unpacked_once(tarball: TarballSource, runner: Runner, cache: Cache, progress: Progress) -> None:
    obtain(tarball, runner, cache, progress)
    Path(tarball.location).unlink()
    assert obtain(tarball, runner, cache, progress).source.is_dir()


def test_a_tarball_with_another_digest_is_not_unpacked(
    tarball: TarballSource, runner: Runner, cache: Cache, progress: Progress
) -> None:
    wrong = TarballSource(tarball.location, "00" * 32)
    with pytest.raises(BadInputError, match="is not the tarball that was asked for") as caught:
        obtain(wrong, runner, cache, progress)
    assert tarball.sha256 in caught.value.why
    assert not list(cache.root.rglob("merge_config.sh"))


def test_a_full_disk_is_noticed_before_unpacking(
    tarball: TarballSource, runner: Runner, cache: Cache, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel.source, "ROOM_NEEDED", 1 << 62)
    with pytest.raises(MpsocksError, match="not enough disk room for the kernel source"):
        obtain(tarball, runner, cache, progress)
    assert not cache.root.exists()


def test_a_moving_ref_is_pinned_to_the_commit_it_names(repository: GitSource, runner: Runner) -> None:
    assert pinned(repository, runner) == GitSource(repository.url, commit_of(repository, "v1"))
    main = GitSource(repository.url, "main")
    assert pinned(main, runner) == GitSource(main.url, commit_of(main, "main"))
    assert commit_of(main, "main") != commit_of(repository, "v1")


def test_a_commit_and_a_suite_need_no_pinning(runner: Runner) -> None:
    commit = GitSource("https://git.example/linux", "0123456789" * 4)
    assert pinned(commit, runner) == commit
    assert pinned(SuiteSource(), runner) == SuiteSource()


def test_a_ref_that_the_repository_has_not_is_refused(repository: GitSource, runner: Runner) -> None:
    with pytest.raises(BadInputError, match="has no ref v9"):
        pinned(GitSource(repository.url, "v9"), runner)


def test_a_second_ref_is_checked_out_in_the_same_folder(
    repository: GitSource, runner: Runner, cache: Cache, progress: Progress
) -> None:
    first = obtain(pinned(repository, runner), runner, cache, progress)
    second = obtain(pinned(GitSource(repository.url, "main"), runner), runner, cache, progress)
    assert first == second
    assert rev_parse(second.source, "HEAD") == commit_of(repository, "main")
