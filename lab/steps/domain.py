"""The step that starts the guest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import libvirt

from lab.errors import MpsocksError
from lab.libvirt_host import LibvirtError, connection
from lab.runner import Runner
from lab.steps.base import Step


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
                hint=f"rename or stop it: virsh -c {self.uri} destroy {self.name}",
            )
        return self

    def stands(self, host: Runner) -> bool:  # noqa: ARG002 - libvirt answers, not a command
        with connection(self.uri, Path(self.root), Path(self.capabilities)) as libvirt_host:
            return find_domain(libvirt_host, self.name) is not None

    def apply(self, host: Runner) -> None:
        host.change("mkdir", "-p", self.folder)
        if self.disk:
            host.change("qemu-img", "create", "-q", "-f", "qcow2", "-b", self.backing, "-F", "qcow2", self.disk)
        if host.dry:
            print(f"virsh -c {self.uri} create /dev/stdin <<'XML'\n{self.xml}XML")
            return
        with connection(self.uri, Path(self.root), Path(self.capabilities)) as libvirt_host:
            try:
                if self.saved:
                    libvirt_host.restoreFlags(self.saved, self.xml)
                else:
                    libvirt_host.createXML(self.xml)
            except libvirt.libvirtError as error:
                raise LibvirtError(
                    "libvirt does not start the guest", error, "`invoke doctor` names what is missing"
                ) from error

    def undo(self, host: Runner) -> None:
        if host.dry:
            print(f"virsh -c {self.uri} destroy {self.name}")
        else:
            self._destroy()
        if self.disk:
            host.change("rm", "-f", self.disk)

    def _destroy(self) -> None:
        with connection(self.uri, Path(self.root), Path(self.capabilities)) as libvirt_host:
            domain = find_domain(libvirt_host, self.name)
            if domain is None:
                return
            try:
                domain.destroy()
            except libvirt.libvirtError as error:
                # It may have ended by itself since it was looked up.
                if find_domain(libvirt_host, self.name) is not None:
                    raise LibvirtError("libvirt does not end the guest", error) from error


def find_domain(libvirt_host: libvirt.virConnect, name: str) -> libvirt.virDomain | None:
    """The domain of that name, running or not, or none."""
    return next((domain for domain in libvirt_host.listAllDomains() if domain.name() == name), None)
