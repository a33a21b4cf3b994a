"""Building the kernel: tinyconfig, fragments over it, a check that every request held, then make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kernel.config import Request, parse_config, require_met
from kernel.recipe import KernelRecipe
from kernel.required import require_tools
from kernel.source import Tree, obtain, pinned
from lab.cache import Cache
from lab.progress import Progress, Stage
from lab.runner import Runner

KIND = "kernels"
TREES = "kernel-trees"
# A tree with what was built in it takes gigabytes, a kernel megabytes.
KEPT, KEPT_TREES = 6, 2
IMAGE_NAME = "bzImage"
RELEASE_NAME = "release"
# How many steps a whole build takes, until one build of the same tree has been counted.
USUAL_STEPS = 2000
# make announces each step as "  CC      net/mptcp/protocol.o".
STEP = re.compile(r"^  [A-Z][A-Z0-9_]+ +(\S+)")
# The same inputs make the same kernel, whoever builds it and when; also what lets ccache find things again.
REPRODUCIBLE = {"KBUILD_BUILD_TIMESTAMP": "@0", "KBUILD_BUILD_USER": "mpsocks", "KBUILD_BUILD_HOST": "lab"}


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel to boot directly."""

    image: Path
    release: str
    key: str
    initrd: Path | None = None
    modules: Path | None = None
    """A raw ext4 image of /lib/modules, to be the second virtio disk, read-only: the initrd mounts it."""


def build_kernel(recipe: KernelRecipe, runner: Runner, cache: Cache, progress: Progress) -> Kernel:
    """The kernel of this recipe, from the cache or built now, which takes minutes.

    Raises `BadInputError` for a source or fragment that does not exist, and an error that names the symbols when the
    configuration did not keep what a fragment asks for.
    """
    recipe = replace(recipe, source=pinned(recipe.source, runner))
    requests, key = recipe.requests(), recipe.key()
    if cache.recall(KIND, key, dry=runner.dry):
        return cached_kernel(cache, key)
    require_tools(runner)
    with cache.locked(TREES, dry=runner.dry):
        if cache.recall(KIND, key, dry=runner.dry):
            return cached_kernel(cache, key)
        tree = obtain(recipe.source, runner, cache, progress)
        with progress.stage("configuring the kernel"):
            _configure(recipe, requests, tree, runner)
        with progress.stage("building the kernel") as stage:
            _make(tree, runner, cache, stage)
        with cache.building(KIND, key, dry=runner.dry) as work:
            runner.change("cp", tree.build / "arch/x86/boot/bzImage", work / IMAGE_NAME)
            runner.change("cp", tree.build / "include/config/kernel.release", work / RELEASE_NAME)
            runner.change("cp", tree.build / ".config", work / "config")
        cache.recall(TREES, tree.build.parent.name, dry=runner.dry)
        cache.prune(TREES, KEPT_TREES, dry=runner.dry)
    cache.prune(KIND, KEPT, dry=runner.dry)
    return cached_kernel(cache, key)


def cached_kernel(cache: Cache, key: str) -> Kernel:
    """The kernel that the cache has under this key; with --dry, the one that would be there."""
    folder = cache.entry(KIND, key)
    release = folder / RELEASE_NAME
    return Kernel(folder / IMAGE_NAME, release.read_text().strip() if release.exists() else "", key)


def _configure(recipe: KernelRecipe, requests: Mapping[str, Request], tree: Tree, runner: Runner) -> None:
    config = tree.build / ".config"
    in_source = ("env", f"--chdir={tree.source}")
    runner.change(*in_source, "make", "--silent", "ARCH=x86_64", f"O={tree.build}", "tinyconfig")
    # -n: what no fragment names stays off, instead of taking Kconfig's default.
    merge = ("sh", "scripts/kconfig/merge_config.sh", "-n", "-O", tree.build)
    runner.change(*in_source, *merge, config, *(path.resolve() for path in recipe.fragments))
    if not runner.dry:
        require_met(requests, parse_config(config.read_text()))


def _make(tree: Tree, runner: Runner, cache: Cache, stage: Stage) -> None:
    remembered = tree.build.parent / "steps"
    total = int(remembered.read_text()) if remembered.exists() else USUAL_STEPS
    done = 0

    def count(line: str) -> None:
        nonlocal done
        if match := STEP.match(line):
            done += 1
            stage.tell(match[1], done, max(total, done))

    jobs = runner.read("nproc").strip()
    ccache = runner.probe("ccache", "--version").ok
    settings = {
        "CCACHE_DIR": str(cache.root / "ccache"),
        "CCACHE_BASEDIR": str(tree.build.parent),
        "CCACHE_MAXSIZE": "2G",
    }
    runner.change(
        "make", f"--directory={tree.source}", "ARCH=x86_64", f"O={tree.build}", f"--jobs={jobs}",
        *(["CC=ccache gcc"] if ccache else []), "bzImage",
        env=REPRODUCIBLE | (settings if ccache else {}), on_line=count,
        hint=f"the source is in {tree.source}, what was built so far in {tree.build}",
    )  # fmt: skip
    if not runner.dry:
        # An incremental build counts less than a whole one.
        remembered.write_text(str(max(done, total if remembered.exists() else 0)))
