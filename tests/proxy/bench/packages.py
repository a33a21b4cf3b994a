"""The other proxies, from Debian's packages, beside the host: installed, they would start services of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.apt import host_mirrors, resolve
from lab.cache import fingerprint
from lab.context import Lab

SUITE = "bookworm"
"""The last one that has dante; one suite for all, so that their libraries fit together."""
PACKAGES = ("dante-server", "microsocks", "libwrap0", "libnsl2", "libtirpc3")
"""The proxies, and what they need beyond the packages that the lab itself needs."""
KIND = "other-proxies"
KEPT = 1
_LIBRARIES = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")


@dataclass(frozen=True, slots=True)
class OtherProxies:
    """A folder that the packages were unpacked into."""

    folder: Path

    def argv(self, program: str, *arguments: str) -> list[str]:
        """The command that starts a program of theirs, such as `usr/bin/microsocks`, with their own libraries."""
        libraries = ":".join(str(self.folder / name) for name in _LIBRARIES)
        return ["env", f"LD_LIBRARY_PATH={libraries}", str(self.folder / program), *arguments]


def other_proxies(lab: Lab) -> OtherProxies:
    """Fetch the packages, or take those of the last time."""
    key = fingerprint({"suite": SUITE, "packages": PACKAGES})
    entry = OtherProxies(lab.cache.entry(KIND, key))
    if lab.cache.recall(KIND, key, dry=lab.host.dry):
        return entry
    if lab.host.dry:
        lab.progress.line(f"  would fetch from {SUITE}: {', '.join(PACKAGES)}")
        return entry
    with lab.progress.stage("fetching the other proxies") as stage, lab.cache.building(KIND, key) as folder:
        root = resolve(lab.host, lab.cache, SUITE, host_mirrors(lab.host))
        for done, package in enumerate(PACKAGES):
            stage.tell(package, done, len(PACKAGES))
            file = root.download(package, root.version(package), folder)
            lab.host.change("dpkg-deb", "--extract", file, folder)
    lab.cache.prune(KIND, KEPT)
    return entry
