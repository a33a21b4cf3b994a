"""The libvirt domain as data, and as XML."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from lab.plan import TapPlan
from lab.templates import render

NAMESPACE = uuid.UUID("6d707463-7020-736f-636b-73206c616221")


class Accel(StrEnum):
    """What executes the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"
    """QEMU's own translation: slower, and works everywhere."""


@dataclass(frozen=True, slots=True)
class DomainSpec:
    """Everything that the domain XML depends on."""

    name: str
    accel: Accel
    memory_mib: int
    cpus: int
    kernel: Path
    initrd: Path | None
    modules: Path | None
    """An ext4 image of /usr/lib/modules, which the initrd of a kernel with modules mounts."""
    disk: Path | None
    """The qcow2 overlay, or none for a kernel that is only tried."""
    console: Path
    """Where the serial console is written."""
    taps: tuple[TapPlan, ...] = ()

    @property
    def cmdline(self) -> str:
        """The kernel's arguments. A panic resets the machine at once, and a reset ends the domain."""
        words = ["console=ttyS0", "panic=-1", "quiet", "loglevel=4"]
        if self.disk:
            words += ["root=/dev/vda", "rw"]
        return " ".join(words)

    def portable(self) -> DomainSpec:
        """The same domain without the paths that differ from one boot to the next."""
        nowhere = Path("/")
        return replace(self, disk=nowhere if self.disk else None, console=nowhere)


def domain_uuid(name: str) -> str:
    """The same for the same name, so that a saved guest can be restored elsewhere."""
    return str(uuid.uuid5(NAMESPACE, name))


def domain_xml(spec: DomainSpec) -> str:
    """The domain XML of libvirt's `virDomainCreateXML`."""
    return render(Path(__file__).with_name("domain.xml.j2"), spec=spec, uuid=domain_uuid(spec.name), autoescape=True)
