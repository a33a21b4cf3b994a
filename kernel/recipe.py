"""What a kernel is built from: plain data, from which its key in the cache is made."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from kernel.config import Request, merged, parse_fragment
from lab.cache import fingerprint
from lab.errors import BadInputError

# Raised when build.py makes another kernel from the same source and fragments.
BUILDER_VERSION = 1
OWN_FRAGMENTS = Path(__file__).parent / "fragments"
TARBALL_NAME = re.compile(r".*\.tar(\.(xz|gz|zst|bz2))?$|.*\.tgz$")
URL = re.compile(r"(https?|git|ssh|file)://.+|[\w.-]+@[\w.-]+:.+")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SuiteSource:
    """The newest linux-source package of a Debian suite; `mirror` is a URL, `snapshot` a date."""

    suite: str = "trixie"
    mirror: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class DirectorySource:
    """A kernel tree on this machine, built beside it and not written to."""

    path: Path
    state: str
    """A digest of the names, sizes and times of its files; see `directory_state`."""


@dataclass(frozen=True, slots=True)
class TarballSource:
    """A packed kernel tree, in a file or at a URL, whose SHA-256 is known beforehand."""

    location: str
    sha256: str


@dataclass(frozen=True, slots=True)
class GitSource:
    """A branch, tag or commit of a git repository."""

    url: str
    ref: str


Source = SuiteSource | DirectorySource | TarballSource | GitSource


@dataclass(frozen=True, slots=True)
class KernelRecipe:
    """A source, and the fragments that are merged over tinyconfig: the project's own, then the user's."""

    source: Source = SuiteSource()
    user_fragments: tuple[Path, ...] = ()

    @property
    def fragments(self) -> tuple[Path, ...]:
        return (*sorted(OWN_FRAGMENTS.glob("*.config")), *self.user_fragments)

    def requests(self) -> dict[str, Request]:
        """Every symbol asked for; raises `BadInputError` when a fragment is missing or cannot be read as one."""
        for path in self.user_fragments:
            if not path.is_file():
                raise BadInputError(f"there is no kernel fragment {path}", hint="name files that exist with --fragment")
        return merged(parse_fragment(path) for path in self.fragments)

    def key(self) -> str:
        """The fingerprint of the source's description and of what the fragments ask for: comments do not count."""
        return fingerprint({
            "builder": BUILDER_VERSION,
            "source": [type(self.source).__name__, {name: str(value) for name, value in asdict(self.source).items()}],
            "requests": {symbol: request.value for symbol, request in self.requests().items()},
        })  # fmt: skip


def parse_source(text: str, sha256: str | None = None, ref: str | None = None) -> Source:
    """The source that a person names: a directory, a tarball (file or URL) with its SHA-256, or a git URL and a ref."""
    if Path(text).is_dir() and ref is None:
        return _directory(Path(text).resolve())
    if TARBALL_NAME.match(text):
        return _tarball(text, sha256)
    if not (URL.fullmatch(text) or Path(text).is_dir()):
        raise BadInputError(f"{text!r} is no kernel source", hint="name a directory, a tarball or a git URL")
    if not ref or ref.startswith("-"):
        raise BadInputError(f"which commit of {text}?", hint="name a branch, tag or commit with --ref")
    # git is run in another folder, where a relative path would lead elsewhere.
    return GitSource(str(Path(text).resolve()) if Path(text).is_dir() else text, ref)


def _tarball(location: str, sha256: str | None) -> TarballSource:
    if not sha256:
        raise BadInputError(f"{location} is not taken unchecked", hint="give its SHA-256 with --sha256")
    if not SHA256.fullmatch(sha256.lower()):
        raise BadInputError(f"{sha256!r} is not a SHA-256", hint="give 64 hexadecimal digits")
    if not URL.fullmatch(location) and not Path(location).is_file():
        raise BadInputError(f"there is no kernel tarball {location}", hint="name a file that exists with --source")
    return TarballSource(location, sha256.lower())


def _directory(path: Path) -> DirectorySource:
    if not (path / "scripts/kconfig/merge_config.sh").is_file():
        raise BadInputError(
            f"{path} is not a kernel tree",
            why="it has no scripts/kconfig/merge_config.sh",
            hint="name the top folder of a kernel's source with --source",
        )
    return DirectorySource(path, directory_state(path))


def directory_state(path: Path) -> str:
    """A digest over the names, sizes and modification times of all files below `path`, git's own left out."""
    files = ((file, file.lstat()) for file in sorted(path.rglob("*")) if ".git" not in file.parts)
    return fingerprint([[str(file.relative_to(path)), stat.st_size, stat.st_mtime_ns] for file, stat in files])
