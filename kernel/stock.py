"""Debian's own cloud kernel, for people who will not wait for a build: an image, an initrd, a disk of modules."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kernel.build import IMAGE_NAME, KEPT, KIND, RELEASE_NAME, Kernel, cached_kernel
from lab.apt import ARCHITECTURE, AptRoot, host_mirrors, host_settings, render_sources, resolve
from lab.cache import Cache, file_digest, fingerprint, require_room
from lab.progress import Progress
from lab.runner import Runner

# Raised when this module makes something else of the same recipe.
BUILDER_VERSION = 1
INITRD_FILES = Path(__file__).parent / "initrd"
PACKAGE = f"linux-image-cloud-{ARCHITECTURE}"
INITRD_NAME = "initrd.img"
MODULES_NAME = "modules.ext4"
MODULES_SIZE = 512 << 20
ROOM_NEEDED = 1536 << 20
# Where the parts go in the throw-away tree, and with which permissions.
PLACES = {
    "modules": ("etc/initramfs-tools/modules", "0644"),
    "initramfs.conf": ("etc/initramfs-tools/conf.d/mpsocks", "0644"),
    "mount-modules": ("etc/initramfs-tools/scripts/init-bottom/mpsocks", "0755"),
}


@dataclass(frozen=True, slots=True)
class StockRecipe:
    """Which suite's kernel; `mirror` is a URL, `snapshot` a date."""

    suite: str = "trixie"
    mirror: str | None = None
    snapshot: str | None = None

    def key(self) -> str:
        """The fingerprint of the suite and of what goes into the initrd."""
        files = {name: file_digest(INITRD_FILES / name) for name in PLACES}
        return fingerprint({"builder": BUILDER_VERSION, "recipe": asdict(self), "files": files})


def stock_kernel(recipe: StockRecipe, runner: Runner, cache: Cache, progress: Progress) -> Kernel:
    """The suite's cloud kernel, from the cache or fetched now; `runner` must be root on this machine.

    Raises `BadInputError` for a suite or date that does not exist, before anything is changed.
    """
    key = recipe.key()
    if cache.recall(KIND, key, dry=runner.dry):
        return _cached(cache, key)
    with cache.locked(KIND, dry=runner.dry):
        if cache.recall(KIND, key, dry=runner.dry):
            return _cached(cache, key)
        require_room(cache.root, ROOM_NEEDED, "Debian's kernel and its initrd")
        with progress.stage(f"fetching the package lists of {recipe.suite}"):
            root = resolve(runner, cache, recipe.suite, host_mirrors(runner, recipe.mirror), recipe.snapshot)
            root.version(PACKAGE)
        with progress.stage(f"unpacking {PACKAGE}") as stage, cache.building(KIND, key, dry=runner.dry) as work:
            tree = work / "tree"
            try:
                stage.tell("installing it into a throw-away tree")
                _install(recipe, root, tree, runner)
                stage.tell("making its initrd")
                _make_initrd(tree, runner)
                _collect(tree, work, runner)
            finally:
                runner.change("rm", "-rf", "--one-file-system", tree)
    cache.prune(KIND, KEPT, dry=runner.dry)
    return _cached(cache, key)


def _install(recipe: StockRecipe, root: AptRoot, tree: Path, runner: Runner) -> None:
    runner.change(
        "mmdebstrap", "--quiet", "--mode=root", "--variant=essential", f"--architectures={ARCHITECTURE}",
        f"--include={PACKAGE},initramfs-tools,e2fsprogs", '--aptopt=APT::Install-Recommends "false";',
        *(f"--aptopt={setting}" for setting in host_settings(runner)),
        recipe.suite, tree, "-", stdin=render_sources(root.archive.sources()),
    )  # fmt: skip


def _make_initrd(tree: Path, runner: Runner) -> None:
    for name, (place, mode) in PLACES.items():
        runner.change("install", "-D", "-m", mode, INITRD_FILES / name, tree / place)
    runner.change("chroot", tree, "update-initramfs", "-u", "-k", "all")


def _collect(tree: Path, work: Path, runner: Runner) -> None:
    script = 'cp "$1"/boot/vmlinuz-* "$2" && cp "$1"/boot/initrd.img-* "$3" && basename "$1"/usr/lib/modules/* > "$4"'
    names = (IMAGE_NAME, INITRD_NAME, RELEASE_NAME)
    runner.change("sh", "-c", script, "sh", tree, *(work / name for name in names))
    modules = work / MODULES_NAME
    runner.change("truncate", f"--size={MODULES_SIZE}", modules)
    runner.change("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree / "usr/lib/modules", modules)


def _cached(cache: Cache, key: str) -> Kernel:
    folder = cache.entry(KIND, key)
    return replace(cached_kernel(cache, key), initrd=folder / INITRD_NAME, modules=folder / MODULES_NAME)
