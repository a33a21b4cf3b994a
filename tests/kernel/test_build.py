"""Building: once per recipe, incrementally per source, and not at all when a request did not hold.

The tree is a toy; the real kernel is built and booted by the end-to-end tests.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from invoke.context import MockContext

from kernel import required
from kernel.build import KEPT, Kernel, build_kernel
from kernel.recipe import KernelRecipe, parse_source
from kernel.required import missing_packages, require_tools
from lab.cache import Cache
from lab.errors import MpsocksError
from lab.progress import Progress
from lab.runner import Runner


class Builder:
    """Builds the toy kernel with one cache, and counts how often make really ran."""

    def __init__(self, tree: Path, runner: Runner, cache: Cache) -> None:
        self.tree, self.runner, self.cache = tree, runner, cache

    def build(self, *fragments: Path) -> Kernel:
        return build_kernel(KernelRecipe(parse_source(str(self.tree)), fragments), self.runner, self.cache, Progress())

    @property
    def builds(self) -> int:
        return sum(len(path.read_text().splitlines()) for path in self.cache.root.rglob("build/builds"))


@pytest.fixture
def builder(toy_tree: Path, runner: Runner, cache: Cache) -> Builder:
    return Builder(toy_tree, runner, cache)


def test_a_kernel_is_an_image_and_its_release(builder: Builder) -> None:
    kernel = builder.build()
    assert kernel.release == "6.99.0-toy"
    assert "CONFIG_MPTCP=y" in kernel.image.read_text()
    assert (kernel.initrd, kernel.modules) == (None, None)


def test_the_same_recipe_is_built_once(builder: Builder) -> None:
    assert builder.build() == builder.build()
    assert builder.builds == 1


def test_an_unchanged_recipe_runs_no_command_at_all(builder: Builder) -> None:
    first = builder.build()
    # A MockContext without answers refuses every command.
    assert Builder(builder.tree, Runner(MockContext()), builder.cache).build() == first


def test_a_users_fragment_comes_last_and_makes_another_kernel(builder: Builder, fragment: Path) -> None:
    plain, own = builder.build(), builder.build(fragment)
    assert plain.key != own.key
    assert own.image.read_text().splitlines()[-1] == "CONFIG_OWN=y"
    assert builder.builds == 2


def test_a_changed_tree_is_built_again_in_the_same_folder(builder: Builder) -> None:
    builder.build()
    (builder.tree / "new.c").write_text("int x;\n")
    builder.build()
    assert builder.builds == 2
    assert len(list(builder.cache.root.rglob("build/builds"))) == 1


def test_the_build_stops_before_make_when_a_request_did_not_hold(builder: Builder, fragment: Path) -> None:
    fragment.write_text("CONFIG_UNHEARD_OF=y\n")
    with pytest.raises(MpsocksError, match="1 kernel setting did not hold") as caught:
        builder.build(fragment)
    assert "CONFIG_UNHEARD_OF=y, asked for in own.config" in caught.value.why
    assert builder.builds == 0
    assert not (builder.cache.root / "kernels").exists()


def test_a_failed_make_leaves_no_kernel_and_shows_what_it_said(builder: Builder) -> None:
    makefile = builder.tree / "Makefile"
    makefile.write_text(makefile.read_text().replace("@echo built >> $(O)/builds", "@echo 'no rule for that' && false"))
    with pytest.raises(MpsocksError) as caught:
        builder.build()
    assert "Error 1" in caught.value.why
    assert not (builder.cache.root / "kernels").exists()


def test_dry_prints_the_build_and_makes_nothing(
    toy_tree: Path, dry: Runner, cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = Builder(toy_tree, dry, cache).build()
    printed = capsys.readouterr().out
    order = [printed.index(word) for word in ("tinyconfig", "merge_config.sh", "bzImage", str(kernel.image))]
    assert order == sorted(order)
    assert not list(cache.root.rglob("*Image"))
    assert not (cache.root / "kernels").exists()


def test_of_the_trees_the_two_built_last_stay(builder: Builder) -> None:
    trees = builder.cache.root / "kernel-trees"
    for name in ("first", "second"):
        (trees / name).mkdir(parents=True)
        os.utime(trees / name, (1e9, 1e9 + len(name)))
    builder.build()
    (built,) = (path.parent.parent.name for path in trees.rglob("build/builds"))
    assert {path.name for path in trees.iterdir() if path.is_dir()} == {"second", built}


def test_a_tree_that_is_built_again_counts_as_new(builder: Builder) -> None:
    builder.build()
    trees = builder.cache.root / "kernel-trees"
    (built,) = (path.parent.parent for path in trees.rglob("build/builds"))
    os.utime(built, (1e9, 1e9))
    for name in ("first", "second"):
        (trees / name).mkdir()
    (builder.tree / "new.c").write_text("int x;\n")
    builder.build()
    assert builder.builds == 2
    assert len([path for path in trees.iterdir() if path.is_dir()]) == 2


def test_of_the_kernels_the_newest_stay(builder: Builder) -> None:
    for age in range(1, KEPT + 1):
        with builder.cache.building("kernels", f"old{age}"):
            pass
        os.utime(builder.cache.entry("kernels", f"old{age}"), (1e9 - age, 1e9 - age))
    kernel = builder.build()
    kept = {path.name for path in (builder.cache.root / "kernels").iterdir()}
    assert kept == {kernel.key, *(f"old{age}" for age in range(1, KEPT))}


def test_what_this_machine_lacks_is_named_by_package(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(required, "TOOLS", {"sh": "dash", "no-such-command": "flex"})
    monkeypatch.setattr(required, "HEADERS", {"/": "base-files", "/no/such/header.h": "libelf-dev"})
    assert missing_packages(runner) == ["flex", "libelf-dev"]
    with pytest.raises(MpsocksError, match="cannot build a kernel yet") as caught:
        require_tools(runner)
    assert "apt-get install flex libelf-dev" in caught.value.hint
