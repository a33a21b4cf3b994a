"""Debian packages of any suite, fetched with apt's own signature checks and without touching the host's apt.

Mirrors come from the host's own apt configuration. A private apt root holds the sources and lists of the suite that is
wanted, so that a Debian 12 host can fetch what Debian 13 has; proxies and certificates stay as the host has set them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from lab.cache import Cache, fingerprint, make_folder
from lab.errors import BadInputError, MpsocksError
from lab.runner import CommandError, Runner

ARCHITECTURE = "amd64"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MAIN_LABEL = "Debian"
SECURITY_LABEL = "Debian-Security"
# These move every day and so have neither an update nor a security suite.
ROLLING_SUITES = frozenset({"sid", "unstable"})
SNAPSHOT_MARK = "@SNAPSHOTID@"
SUITE_NAME = re.compile(r"[a-z][a-z0-9.+-]*")
# Printable and without a space, since it becomes one word of a sources file.
ARCHIVE_URL = re.compile(r"(https?://|file:/)[!-~]+")
TARGET_FORMAT = "$(ORIGIN)|$(LABEL)|$(REPO_URI)"
# A host's own settings that also hold for packages fetched into an image.
INHERITED_SETTING = re.compile(r'(?i)^(acquire::\S*(?:proxy|cainfo|verify-peer|verify-host|retries)\S*) "(.*)";$')


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where Debian's main archive and its security archive are fetched from, as URLs."""

    main: str
    security: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of an apt sources file: some suites of one archive."""

    url: str
    suites: tuple[str, ...]
    dated: bool = False
    """A snapshot's Release file has run out long ago, and is meant to."""

    def render(self) -> str:
        """The entry in deb822 form, as sources.list(5) has it."""
        lines = ["Types: deb", f"URIs: {self.url}", f"Suites: {' '.join(self.suites)}", "Components: main"]
        if self.dated:
            lines.append("Check-Valid-Until: no")
        return "\n".join([*lines, f"Architectures: {ARCHITECTURE}", f"Signed-By: {KEYRING}"]) + "\n"


@dataclass(frozen=True, slots=True)
class Archive:
    """What is asked for: a suite, from these mirrors, as it is now or as it was on a date."""

    suite: str
    mirrors: Mirrors
    snapshot: str | None = None
    """An identifier such as 20261120T000000Z; see `snapshot_id`."""

    def sources(self) -> tuple[Source, ...]:
        """The suite itself, and its update and security suites where it has them."""
        dated = self.snapshot is not None
        if self.suite in ROLLING_SUITES:
            return (Source(self.mirrors.main, (self.suite,), dated),)
        main = Source(self.mirrors.main, (self.suite, f"{self.suite}-updates"), dated)
        if not self.mirrors.security:
            return (main,)
        return (main, Source(self.mirrors.security, (f"{self.suite}-security",), dated))


def render_sources(sources: Iterable[Source]) -> str:
    """A whole deb822 sources file."""
    return "\n".join(source.render() for source in sources)


def parse_mirrors(targets: str) -> Mirrors | None:
    """The Debian mirrors among apt's index targets, given one a line as `ORIGIN|LABEL|URL`."""
    urls: dict[str, str] = {}
    for line in targets.splitlines():
        origin, label, url = line.split("|", 2)
        if origin == "Debian":
            urls.setdefault(label, url)
    return Mirrors(urls[MAIN_LABEL], urls.get(SECURITY_LABEL)) if MAIN_LABEL in urls else None


def host_mirrors(runner: Runner, main: str | None = None, security: str | None = None) -> Mirrors:
    """The mirrors that this host's apt uses, each replaced by the URL given for it.

    Raises `BadInputError` for what is no URL of an archive.
    """
    for given in filter(None, (main, security)):
        if not ARCHIVE_URL.fullmatch(given):
            raise BadInputError(
                f"{given!r} is not the URL of an archive",
                hint="name one that begins with http://, https:// or file:/, as in --mirror http://HOST/debian",
            )
    own = parse_mirrors(runner.read("apt-get", "indextargets", "--format", TARGET_FORMAT))
    if own is None and main is None:
        raise MpsocksError(
            "no Debian mirror is known",
            why="apt has no index of a repository whose origin and label are Debian",
            hint="run `apt-get update`, or name a mirror with --mirror URL",
        )
    return Mirrors(main or (own.main if own else ""), security or (own.security if own else None))


def snapshot_id(date: str) -> str:
    """A date such as 2026-11-20, or an identifier such as 20261120T060000Z, as a snapshot identifier."""
    day = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", date)
    identifier = f"{''.join(day.groups())}T000000Z" if day else date
    # strptime alone would also take one digit where two belong.
    if re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", identifier):
        with suppress(ValueError):
            datetime.strptime(identifier, "%Y%m%dT%H%M%SZ")
            return identifier
    raise BadInputError(f"{date!r} is not a snapshot date", hint="write 2026-11-20, or 20261120T060000Z")


def host_settings(runner: Runner) -> tuple[str, ...]:
    """This host's proxies and certificate settings, as apt options of the form `Acquire::http::Proxy "URL";`."""
    lines = runner.read("apt-config", "dump").splitlines()
    found = (INHERITED_SETTING.match(line) for line in lines)
    return tuple(f'{match[1]} "{match[2]}";' for match in found if match and match[2])


def resolve(runner: Runner, cache: Cache, suite: str, mirrors: Mirrors, snapshot: str | None = None) -> AptRoot:
    """A private apt root with the lists of `suite` in it; `snapshot` is a date.

    Raises `BadInputError` when there is no such suite, or no snapshot service for a date.
    """
    if not SUITE_NAME.fullmatch(suite):
        raise BadInputError(f"{suite!r} is not the name of a Debian suite", hint="use a name such as trixie")
    date = snapshot_id(snapshot) if snapshot else None
    root = AptRoot.open(runner, cache, Archive(suite, mirrors))
    if date is None:
        return root
    security = root.snapshot_url(SECURITY_LABEL, date) if mirrors.security else None
    dated = Mirrors(root.snapshot_url(MAIN_LABEL, date), security)
    return AptRoot.open(runner, cache, replace(root.archive, mirrors=dated, snapshot=date))


@dataclass(frozen=True)
class AptRoot:
    """A folder with apt's sources, lists and packages, apart from the host's own."""

    runner: Runner
    folder: Path
    archive: Archive

    @classmethod
    def open(cls, runner: Runner, cache: Cache, archive: Archive) -> AptRoot:
        """Make the root in the cache when it is missing, and fetch its lists anew.

        So it is with --dry too: these lists are how the lab reads what a suite has, and nothing of the host's.
        """
        if not KEYRING.is_file():
            raise MpsocksError(f"{KEYRING} is missing", hint="apt-get install debian-archive-keyring")
        text = render_sources(archive.sources())
        root = cls(runner, cache.entry("apt", fingerprint(text)), archive)
        for name in ("lists/partial", "archives/partial"):
            make_folder(root.folder / name)
        (root.folder / "status").touch()
        (root.folder / "lab.sources").write_text(text)
        (root.folder / "apt.conf").write_text(root._configuration())
        with cache.locked("apt"):
            root._update()
        return root

    def _configuration(self) -> str:
        # Read after the host's own files, and so wins over them: only places, and no hooks of the host's.
        folder = self.folder.absolute()
        return f"""\
Dir::State "{folder}";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}";
Dir::Etc::sourcelist "{folder}/lab.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{ARCHITECTURE}";
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""

    def _apt(self, tool: str, *words: str) -> str:
        return self.runner.read(tool, "-c", self.folder / "apt.conf", *words)

    def _update(self) -> None:
        try:
            # Without --error-on=any apt takes an unreachable mirror for a success.
            self._apt("apt-get", "update", "--error-on=any", "-qq")
        except CommandError as error:
            if "does not have a Release file" not in error.why:
                raise MpsocksError(
                    f"the package lists of {self.archive.suite} cannot be fetched", why=error.why,
                    hint="check the network and the proxy settings of apt, or choose another mirror with --mirror URL",
                ) from error  # fmt: skip
            raise BadInputError(
                f"there is no Debian suite {self.archive.suite!r} at {self.archive.mirrors.main}", why=error.why,
                hint="use a suite that the mirror has, such as trixie, or choose another mirror with --mirror URL",
            ) from error  # fmt: skip

    @cached_property
    def _releases(self) -> tuple[dict[str, str], ...]:
        texts = (path.read_text() for path in sorted((self.folder / "lists").glob("*_*Release")))
        return tuple(release_fields(text) for text in texts)

    def snapshot_url(self, label: str, date: str) -> str:
        """Where the archive of this label is kept as it was on `date`, according to its Release file or to apt."""
        stated = [fields.get("Snapshots", "") for fields in self._releases if fields.get("Label") == label]
        setting = re.compile(rf'^Acquire::Snapshots::URI::Label::{label} "(.+)";$', re.M)
        known: list[str] = setting.findall(self._apt("apt-config", "dump"))
        template = next((text for text in [*stated, *known] if SNAPSHOT_MARK in text), None)
        if template is None:
            raise BadInputError(
                f"no snapshot service is known for the archive {label}",
                why="neither its Release file nor this host's apt names one (field Snapshots)",
                hint="leave the snapshot date out, or name the dated archive itself with --mirror URL",
            )
        return template.replace(SNAPSHOT_MARK, date)

    def names(self, pattern: str) -> list[str]:
        """The packages whose whole name matches the regular expression."""
        listed = self._apt("apt-cache", "pkgnames").split()
        return [name for name in listed if re.fullmatch(pattern, name)]

    def version(self, package: str) -> str:
        """The version that would be installed."""
        found = re.search(r"^  Candidate: (\S+)$", self._apt("apt-cache", "policy", package), re.M)
        if not found or found[1] == "(none)":
            raise BadInputError(f"Debian {self.archive.suite} has no package {package}")
        return str(found[1])

    def download(self, package: str, version: str, folder: Path) -> Path:
        """Fetch one package file into `folder`, checked against the suite's signed lists; return its path."""
        command = ("apt-get", "-c", str(self.folder / "apt.conf"), "download", "-qq", f"{package}={version}")
        self.runner.change("env", f"--chdir={folder}", *command)
        # apt writes the colon of an epoch as %3a.
        return next(folder.glob(f"{package}_*.deb"), folder / f"{package}_{version}_{ARCHITECTURE}.deb")


def release_fields(text: str) -> dict[str, str]:
    """The one-line fields of a Release file."""
    return dict(re.findall(r"^([A-Z][\w-]*): (.+)$", text, re.M))
