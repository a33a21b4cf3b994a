"""Which source a person means, and when two recipes are the same kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.recipe import DirectorySource, GitSource, KernelRecipe, SuiteSource, TarballSource, parse_source
from kernel.stock import StockRecipe
from lab.errors import BadInputError

SHA256 = "ab" * 32


def test_the_same_recipe_has_the_same_key(fragment: Path) -> None:
    assert KernelRecipe(user_fragments=(fragment,)).key() == KernelRecipe(user_fragments=(fragment,)).key()


def test_another_setting_is_another_kernel_and_a_comment_is_not(fragment: Path) -> None:
    before = KernelRecipe(user_fragments=(fragment,)).key()
    fragment.write_text("# said differently\nCONFIG_OWN=y\n")
    assert KernelRecipe(user_fragments=(fragment,)).key() == before
    fragment.write_text("CONFIG_OWN=n\n")
    assert KernelRecipe(user_fragments=(fragment,)).key() != before


def test_every_source_is_another_kernel() -> None:
    sources = (
        SuiteSource(), SuiteSource("bookworm"), SuiteSource(snapshot="2026-11-20"),
        TarballSource("linux.tar.xz", SHA256),
        GitSource("https://git.example/linux", "v6.12"), GitSource("https://git.example/linux", "v6.13"),
    )  # fmt: skip
    assert len({KernelRecipe(source).key() for source in sources}) == len(sources)


def test_the_stock_kernels_of_two_suites_are_two() -> None:
    assert StockRecipe().key() == StockRecipe("trixie").key() != StockRecipe("bookworm").key()


def test_a_missing_fragment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"there is no kernel fragment .*nowhere\.config"):
        KernelRecipe(user_fragments=(tmp_path / "nowhere.config",)).key()


def test_a_directory_is_told_from_its_content(toy_tree: Path) -> None:
    before = parse_source(str(toy_tree))
    assert isinstance(before, DirectorySource)
    assert parse_source(str(toy_tree)) == before
    (toy_tree / "Makefile").write_text("all:\n")
    assert parse_source(str(toy_tree)) != before


def test_a_directory_without_a_kernel_in_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="is not a kernel tree"):
        parse_source(str(tmp_path))


def test_a_tarball_needs_its_digest(tmp_path: Path) -> None:
    tarball = tmp_path / "linux.tar.xz"
    tarball.touch()
    with pytest.raises(BadInputError, match="not taken unchecked"):
        parse_source(str(tarball))
    with pytest.raises(BadInputError, match="is not a SHA-256"):
        parse_source(str(tarball), sha256="1234")
    assert parse_source(str(tarball), sha256=SHA256.upper()) == TarballSource(str(tarball), SHA256)


def test_a_tarball_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="there is no kernel tarball"):
        parse_source(str(tmp_path / "linux.tar.xz"), sha256=SHA256)


@pytest.mark.parametrize(
    "url", ["https://git.example/linux.git", "git@git.example:linux.git", "ssh://git.example/linux"]
)
def test_a_git_url_needs_a_ref(url: str) -> None:
    with pytest.raises(BadInputError, match="which commit"):
        parse_source(url)
    assert parse_source(url, ref="v6.12") == GitSource(url, "v6.12")


def test_a_repository_nearby_is_known_by_its_whole_path(toy_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy_tree.parent)
    assert parse_source(toy_tree.name, ref="v1") == GitSource(str(toy_tree), "v1")


def test_a_ref_cannot_be_an_option() -> None:
    with pytest.raises(BadInputError):
        parse_source("https://git.example/linux.git", ref="--upload-pack=x")


def test_what_is_no_source_at_all_is_refused() -> None:
    with pytest.raises(BadInputError, match="is no kernel source"):
        parse_source("--output=x", ref="v6.12")
