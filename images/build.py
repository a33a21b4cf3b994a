"""Making the image without mounting: packages into a folder, the folder into a file system, that into a qcow2."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from images.recipe import DANTE_PACKAGE, DANTE_SUITE, ImageRecipe, Variant
from images.render import guest_files, listed, pin_dante
from lab.apt import ARCHITECTURE, AptRoot, Source, host_mirrors, host_settings, render_sources, resolve
from lab.cache import Cache, require_room
from lab.errors import BadInputError
from lab.progress import Progress, Stage
from lab.runner import Runner

KIND = "images"
# Images in the cache, of some hundred MiB each.
KEPT = 6
DISK_NAME = "guest.qcow2"
# The packages, the tree, the raw file system and the qcow2 stand side by side for a while.
ROOM_NEEDED = 1536 << 20
# What mmdebstrap announces on its way, after "I: ".
MILESTONES = (
    "running apt-get update",
    "downloading packages",
    "extracting archives",
    "installing essential packages",
    "installing remaining packages",
    "cleaning package lists",
)
UNNEEDED_PATHS = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/bash-completion/*",
    "/usr/share/zoneinfo/*/*",
    # Names of hardware: 20 MB, and seconds to compile.
    "/usr/lib/udev/hwdb.d/*",
)
# Nothing can be installed in the guest, which has no way out: apt's state would only take room.
REMOVED_PATHS = ("etc/apt", "var/lib/apt", "var/cache/apt", "var/cache/debconf", "var/log/apt", "etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image: the qcow2 file (never to be written to: boot an overlay of it), and its key."""

    path: Path
    key: str


def build_image(recipe: ImageRecipe, runner: Runner, cache: Cache, progress: Progress) -> Image:
    """The image of this recipe, from the cache or made now; `runner` must be root on this machine.

    Raises `BadInputError` for a suite or date that does not exist, before anything is changed.
    """
    key = recipe.key()
    image = Image(cache.entry(KIND, key) / DISK_NAME, key)
    if cache.recall(KIND, key, dry=runner.dry):
        return image
    with cache.locked(KIND, dry=runner.dry):
        if cache.recall(KIND, key, dry=runner.dry):
            return image
        require_room(cache.root, ROOM_NEEDED, "the guest image")
        mirrors = host_mirrors(runner, recipe.mirror)
        with progress.stage(f"fetching the package lists of {recipe.suite}"):
            packages = resolve(runner, cache, recipe.suite, mirrors, recipe.snapshot)
        title = f"building the {recipe.variant.value} image"
        with progress.stage(title) as stage, cache.building(KIND, key, dry=runner.dry) as work:
            _build(recipe, packages, work, runner, stage)
    cache.prune(KIND, KEPT, dry=runner.dry)
    return image


def _build(recipe: ImageRecipe, packages: AptRoot, work: Path, runner: Runner, stage: Stage) -> None:
    tree, raw = work / "tree", work / "guest.raw"
    try:
        _install_packages(recipe, packages, tree, runner, stage)
        stage.tell("configuring")
        _configure(recipe, tree, runner)
        stage.tell("making the disk")
        # Without a journal: the overlay that is written to does not outlive its boot.
        runner.change("truncate", f"--size={recipe.disk_size}", raw)
        runner.change("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-L", "mpsocks", "-d", tree, raw)
        runner.change("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, work / DISK_NAME)
        # The guest's private host key is in it.
        runner.change("chmod", "0600", work / DISK_NAME)
    finally:
        runner.change("rm", "-rf", "--one-file-system", tree, raw)


def _install_packages(recipe: ImageRecipe, packages: AptRoot, tree: Path, runner: Runner, stage: Stage) -> None:
    sources = packages.archive.sources()
    names = recipe.all_packages()
    pin: tuple[str, ...] = ()
    if recipe.variant is Variant.EXTRA:
        names += (DANTE_PACKAGE,)
    if recipe.variant is Variant.EXTRA and recipe.suite != DANTE_SUITE:
        sources += (Source(packages.archive.mirrors.main, (DANTE_SUITE,), packages.archive.snapshot is not None),)
        pin = (f'--setup-hook=printf %s {shlex.quote(pin_dante())} > "$1/etc/apt/preferences.d/mpsocks"',)
    runner.change(
        "mmdebstrap", "--mode=root", "--variant=essential", f"--architectures={ARCHITECTURE}",
        f"--include={','.join(names)}", '--aptopt=APT::Install-Recommends "false";',
        *(f"--aptopt={setting}" for setting in host_settings(runner)),
        *(f"--dpkgopt=path-exclude={path}" for path in UNNEEDED_PATHS),
        *pin, recipe.suite, tree, "-",
        stdin=render_sources(sources), on_line=lambda line: _tell(stage, line),
        hint="the lines above are mmdebstrap's; run again with --dry to see the whole command",
    )  # fmt: skip


def _tell(stage: Stage, line: str) -> None:
    done = milestone(line)
    if done:
        stage.tell(MILESTONES[done - 1], done, len(MILESTONES) + 1)


def milestone(line: str) -> int:
    """The number, from 1, of the milestone that a line of mmdebstrap announces; 0 if it announces none."""
    text = re.sub(r"^I: ", "", line)
    return next((number for number, start in enumerate(MILESTONES, 1) if text.startswith(start)), 0)


def _configure(recipe: ImageRecipe, tree: Path, runner: Runner) -> None:
    if not recipe.host_key.exists() and not runner.dry:
        raise BadInputError(f"the guest's host key {recipe.host_key} does not exist")
    runner.change("sh", "-c", 'cd "$1" && shift && rm -rf "$@" etc/ssh/ssh_host_*', "sh", tree, *REMOVED_PATHS)
    runner.change("install", "-d", "-m", "0700", tree / "root/.ssh")
    for file in guest_files(recipe):
        runner.change("install", "-D", "-m", file.mode, "/dev/stdin", f"{tree}{file.path}", stdin=file.text)
    key = tree / "etc/ssh/ssh_host_ed25519_key"
    runner.change("install", "-m", "0600", recipe.host_key, key)
    runner.change("install", "-m", "0644", recipe.host_key.with_suffix(".pub"), key.with_suffix(".pub"))
    runner.change("chroot", tree, "systemd-sysusers")
    # "*" is no password at all; the "!" that locks an account would also shut out its keys, as sshd(8) has it.
    runner.change("chroot", tree, "usermod", "--password", "*", "root")
    runner.change("chroot", tree, "systemctl", "mask", *listed("masked-units.txt"), *recipe.variant.masked_units)
    generators = tree / "etc/systemd/system-generators"
    runner.change("install", "-d", generators)
    for name in listed("masked-generators.txt"):
        runner.change("ln", "-s", "/dev/null", generators / name)
