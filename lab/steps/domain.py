"""The step that starts the guest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lab.errors import MpsocksError
from lab.libvirt_host import EMBEDDED, LibvirtHost
from lab.runner import Runner
from lab.steps.base import Step

# A QEMU whose libvirt was killed before it took note of it: no other has this guest's name and our folder in its words.
END_STRAY = r"""
for process in /proc/[0-9]*; do
  case $(readlink "$process/exe" 2>/dev/null) in */qemu-system-*) ;; *) continue ;; esac
  words=$(tr '\0' '\n' <"$process/cmdline" 2>/dev/null)
  case $words in *"guest=$1,"*"\"$2/lib/qemu/"*) kill -KILL "${process#/proc/}" ;; esac
done
"""


@dataclass(frozen=True, slots=True)
class Domain(Step):
    """A transient libvirt domain on a disk of its own: an overlay, so that the image stays clean."""

    name: str
    xml: str
    uri: str
    root: str
    """State folder of libvirt's embedded driver."""
    capabilities: str
    """Where that driver remembers what QEMU can do."""
    folder: str
    """Folder of the console's log, made when it is missing."""
    disk: str = ""
    """The qcow2 overlay to make, if the domain has a disk."""
    backing: str = ""
    """The qcow2 that it lies upon."""
    saved: str = ""
    """A saved guest to restore instead of booting."""
    kind: ClassVar[str] = "domain"
    remembered: ClassVar[tuple[str, ...]] = ("backing", "saved")

    @property
    def subject(self) -> str:
        return f"domain {self.name}"

    def prepared(self, host: Runner) -> Self:
        if self.stands(host):
            raise MpsocksError(
                f"{self.uri} already has a domain called {self.name}",
                why="mpsocks did not start it",
                hint=f"stop it: virsh -c '{self._virsh_uri}' destroy {self.name}",
            )
        return self

    def stands(self, host: Runner) -> bool:  # noqa: ARG002 - libvirt answers, not a command
        return self.name in self._libvirt.domains()

    def apply(self, host: Runner) -> None:
        host.change("mkdir", "-p", self.folder)
        if self.uri != EMBEDDED:
            # QEMU runs as a user of its own there, and must get through to its disk.
            host.change("chmod", "a+x", self.folder, Path(self.folder).parent)
        if self.disk:
            host.change("qemu-img", "create", "-q", "-f", "qcow2", "-b", self.backing, "-F", "qcow2", self.disk)
        if host.dry:
            print(f"virsh -c '{self._virsh_uri}' create /dev/stdin <<'XML'\n{self.xml}XML")
        elif self.saved:
            self._libvirt.restore(Path(self.saved), self.xml)
        else:
            self._libvirt.create(self.xml)

    def undo(self, host: Runner) -> None:
        if host.dry:
            print(f"virsh -c '{self._virsh_uri}' destroy {self.name}")
        else:
            self._libvirt.destroy(self.name)
        if self.uri == EMBEDDED:
            host.change("sh", "-c", END_STRAY, "sh", self.name, self.root)
        if self.disk:
            host.change("rm", "-f", self.disk)

    @property
    def _virsh_uri(self) -> str:
        return f"{self.uri}?root={self.root}" if self.uri == EMBEDDED else self.uri

    @property
    def _libvirt(self) -> LibvirtHost:
        return LibvirtHost(self.uri, Path(self.root), Path(self.capabilities))
