"""Bringing a kernel source into the cache: one build folder per source, so that a second build is incremental."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kernel.recipe import URL, DirectorySource, GitSource, Source, SuiteSource, TarballSource
from lab.apt import host_mirrors, resolve
from lab.cache import Cache, file_digest, fingerprint, require_room
from lab.errors import BadInputError, MpsocksError
from lab.progress import Progress
from lab.runner import CommandError, Runner

KIND = "kernel-trees"
LINUX_SOURCE = r"linux-source-\d+\.\d+"
# The package, the tree it unpacks to, and the objects built from it.
ROOM_NEEDED = 4 << 30


@dataclass(frozen=True, slots=True)
class Tree:
    """A kernel source that is there, and the folder that it is built in."""

    source: Path
    build: Path


def obtain(source: Source, runner: Runner, cache: Cache, progress: Progress) -> Tree:
    """The tree of this source, fetched and unpacked when the cache has not got it.

    Raises `BadInputError` when there is no such suite, commit or tarball.
    """
    match source:
        case DirectorySource():
            tree = Tree(source.path, cache.entry(KIND, f"directory-{fingerprint(str(source.path))}") / "build")
        case SuiteSource():
            tree = _from_suite(source, runner, cache, progress)
        case TarballSource():
            tree = _from_tarball(source, runner, cache, progress)
        case GitSource():
            tree = _from_git(source, runner, cache, progress)
    runner.change("mkdir", "-p", tree.build)
    return tree


def newest(packages: list[str]) -> str:
    """Of linux-source-6.12 and linux-source-6.1, the former: versions are numbers, not text."""
    return max(packages, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def _tree(cache: Cache, name: str) -> Tree:
    folder = cache.entry(KIND, name)
    return Tree(folder / "source", folder / "build")


def _from_suite(source: SuiteSource, runner: Runner, cache: Cache, progress: Progress) -> Tree:
    with progress.stage(f"fetching the package lists of {source.suite}"):
        root = resolve(runner, cache, source.suite, host_mirrors(runner, source.mirror), source.snapshot)
    packages = root.names(LINUX_SOURCE)
    if not packages:
        raise BadInputError(f"Debian {source.suite} has no linux-source package", hint="name a source with --source")
    package = newest(packages)
    version = root.version(package)
    tree = _tree(cache, f"{package}_{version}")
    if not tree.source.exists():
        require_room(cache.root, ROOM_NEEDED, "the kernel source and its build")
        folder = tree.source.parent
        runner.change("mkdir", "-p", folder)
        with progress.stage(f"fetching {package} {version}"):
            archive = root.download(package, version, folder)
        with progress.stage(f"unpacking {package}"):
            runner.change("dpkg-deb", "--extract", archive, folder / "package")
            _unpack(runner, folder / "package/usr/src" / f"{package}.tar.xz", tree)
            runner.change("rm", "-rf", archive, folder / "package")
    return tree


def _from_tarball(source: TarballSource, runner: Runner, cache: Cache, progress: Progress) -> Tree:
    tree = _tree(cache, f"tarball-{source.sha256[:16]}")
    if tree.source.exists():
        return tree
    require_room(cache.root, ROOM_NEEDED, "the kernel source and its build")
    folder = tree.source.parent
    runner.change("mkdir", "-p", folder)
    archive = Path(source.location)
    if URL.fullmatch(source.location):
        archive = folder / source.location.rsplit("/", 1)[-1]
        with progress.stage(f"fetching {archive.name}"):
            runner.change("curl", "--fail", "--silent", "--show-error", "--location", "-o", archive, source.location)
    if archive.exists():
        require_digest(archive, source.sha256)
    with progress.stage(f"unpacking {archive.name}"):
        _unpack(runner, archive, tree)
    return tree


def require_digest(archive: Path, sha256: str) -> None:
    """Refuse a file whose SHA-256 is another."""
    found = file_digest(archive)
    if found != sha256:
        raise BadInputError(
            f"{archive} is not the tarball that was asked for",
            why=f"its SHA-256 is {found}, not {sha256}",
            hint="fetch it again, or correct --sha256",
        )


def _unpack(runner: Runner, archive: Path, tree: Tree) -> None:
    # Unpacked beside its place and then moved: a tree that exists is whole, whatever interrupts this.
    part = tree.source.with_name("source.part")
    runner.change("rm", "-rf", part)
    runner.change("mkdir", part)
    runner.change("tar", "--extract", "--file", archive, "--directory", part, "--strip-components=1")
    runner.change("mv", part, tree.source)


def _from_git(source: GitSource, runner: Runner, cache: Cache, progress: Progress) -> Tree:
    """A shallow fetch of one commit; the folder is the repository's, so that a second ref builds incrementally."""
    require_room(cache.root, ROOM_NEEDED, "the kernel source and its build")
    tree = _tree(cache, f"git-{fingerprint(source.url)}")
    git = ("git", "-C", str(tree.source))
    if not (tree.source / ".git").exists():
        runner.change("git", "init", "--quiet", tree.source)
    with progress.stage(f"fetching {source.ref} of {source.url}"):
        try:
            runner.change(*git, "fetch", "--quiet", "--depth=1", "--", source.url, source.ref)
        except CommandError as error:
            raise MpsocksError(
                f"{source.ref} cannot be fetched from {source.url}", why=error.why, hint="check --source and --ref"
            ) from error
        runner.change(*git, "checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
    return tree


def pinned(source: Source, runner: Runner) -> Source:
    """The same source with a moving git ref replaced by the commit it names now, so that a key tells commits apart."""
    if not isinstance(source, GitSource) or re.fullmatch(r"[0-9a-f]{40}", source.ref):
        return source
    answer = runner.probe("git", "ls-remote", "--", source.url, source.ref, f"{source.ref}^{{}}")
    commits = [line.split()[0] for line in answer.stdout.splitlines()]
    if not answer.ok or not commits:
        raise BadInputError(
            f"{source.url} has no ref {source.ref}",
            why=answer.stderr,
            hint="check --source and --ref with git ls-remote",
        )
    return GitSource(source.url, commits[-1])
