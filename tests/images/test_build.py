"""Building an image: from the cache, dry, and refused. Images are really built and booted by the end-to-end tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from invoke.context import Context, MockContext
from invoke.runners import Result

import images.build
from images.build import DISK_NAME, build_image, milestone
from images.recipe import ImageRecipe, Variant
from lab.apt import AptRoot, Archive, Mirrors, host_mirrors
from lab.cache import Cache
from lab.errors import BadInputError, MpsocksError
from lab.progress import Progress
from lab.runner import Runner
from tests.images.conftest import PRIVATE_TEXT

MIRRORS = Mirrors("http://mirror.example/debian", "http://mirror.example/security")


@pytest.fixture
def lists_are_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The network is left out: the package lists are taken as fetched."""

    def resolve(runner: Runner, cache: Cache, suite: str, mirrors: Mirrors, snapshot: str | None) -> AptRoot:
        return AptRoot(runner, tmp_path, Archive(suite, mirrors, snapshot))

    monkeypatch.setattr(images.build, "resolve", resolve)
    monkeypatch.setattr(images.build, "host_mirrors", lambda *_: MIRRORS)


def test_an_unchanged_recipe_runs_no_command_at_all(recipe: ImageRecipe, cache: Cache) -> None:
    with cache.building("images", recipe.key()) as work:
        (work / DISK_NAME).write_text("a disk")
    # A MockContext without answers refuses every command.
    image = build_image(recipe, Runner(MockContext()), cache, Progress())
    assert image.path.read_text() == "a disk"
    assert image.key == recipe.key()


@pytest.mark.usefixtures("lists_are_there")
def test_dry_prints_the_whole_build_and_makes_nothing(
    recipe: ImageRecipe, dry: Runner, cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    image = build_image(recipe, dry, cache, Progress())
    printed = capsys.readouterr().out
    order = [printed.index(tool) for tool in ("mmdebstrap ", "systemctl mask", "mke2fs ", "qemu-img convert", "rm -rf")]
    assert order[:4] == sorted(order[:4])
    assert str(image.path) in printed
    assert PRIVATE_TEXT not in printed
    assert not image.path.exists()
    assert not cache.root.exists()


@pytest.mark.usefixtures("lists_are_there")
def test_a_mirror_that_is_no_url_is_refused_before_anything_is_fetched(
    recipe: ImageRecipe, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images.build, "host_mirrors", host_mirrors)
    runner = Runner(MockContext(run=Result("Debian|Debian|http://mirror.example/debian/\n")))
    with pytest.raises(BadInputError, match="is not the URL of an archive"):
        build_image(replace(recipe, mirror="not a url"), runner, cache, Progress())


@pytest.mark.usefixtures("lists_are_there")
def test_the_base_image_knows_no_older_suite(
    recipe: ImageRecipe, dry: Runner, cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    build_image(recipe, dry, cache, Progress())
    printed = capsys.readouterr().out
    assert "Suites: trixie trixie-updates" in printed
    assert "Suites: trixie-security" in printed
    assert "bookworm" not in printed
    assert "dante" not in printed


@pytest.mark.usefixtures("lists_are_there")
def test_the_extra_image_takes_dante_from_the_older_suite(
    recipe: ImageRecipe, dry: Runner, cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    build_image(replace(recipe, variant=Variant.EXTRA), dry, cache, Progress())
    printed = capsys.readouterr().out
    assert "Suites: bookworm" in printed
    assert "Pin: release n=bookworm" in printed
    assert "danted.service redsocks.service" in printed


@pytest.mark.usefixtures("lists_are_there")
def test_the_older_suite_needs_no_pin_for_its_own_dante(
    recipe: ImageRecipe, dry: Runner, cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    build_image(replace(recipe, variant=Variant.EXTRA, suite="bookworm"), dry, cache, Progress())
    printed = capsys.readouterr().out
    assert "dante-server" in printed
    assert "Pin:" not in printed


@pytest.mark.slow
def test_a_suite_that_does_not_exist_is_refused_and_leaves_no_image(
    recipe: ImageRecipe, cache: Cache, tmp_path: Path
) -> None:
    empty_mirror = tmp_path / "mirror"
    empty_mirror.mkdir()
    wrong = replace(recipe, suite="nosuch", mirror=f"file://{empty_mirror}")
    with pytest.raises(BadInputError, match="no Debian suite 'nosuch'"):
        build_image(wrong, Runner(Context()), cache, Progress())
    assert not cache.has("images", wrong.key())


def test_a_full_disk_is_noticed_before_anything_is_fetched(
    recipe: ImageRecipe, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images.build, "ROOM_NEEDED", 1 << 62)
    with pytest.raises(MpsocksError, match="not enough disk room for the guest image"):
        build_image(recipe, Runner(MockContext()), cache, Progress())


def test_the_milestones_of_mmdebstrap_come_in_order() -> None:
    printed = (
        "I: chroot architecture amd64 is equal to the host's architecture",
        "I: running apt-get update...",
        "I: downloading packages with apt...",
        "I: extracting archives...",
        "I: installing essential packages...",
        "I: installing remaining packages inside the chroot...",
        "I: cleaning package lists and apt cache...",
        "I: success in 24.1234 seconds",
    )
    assert [milestone(line) for line in printed] == [0, 1, 2, 3, 4, 5, 6, 0]
