"""Starting the guest, cold or warm, and waiting until it answers.

A guest that has booted is saved, and the next start restores it instead of booting (`virDomainSave`). What is saved
depends on the kernel, the image and the domain's definition: their fingerprint is its name in the cache.
"""

from __future__ import annotations

import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from images.build import Image
from kernel.build import Kernel
from lab.cache import fingerprint, require_room
from lab.console import last_lines
from lab.context import Lab
from lab.domain import Accel, DomainSpec, domain_xml
from lab.errors import MpsocksError
from lab.plan import GUEST_NAME, TapPlan
from lab.progress import Stage
from lab.steps import Domain

SCOPE = "vm"
WARM = "warm"
KEPT_WARM = 4
COLD_SECONDS = "cold-seconds"
LOOK_SECONDS = 2.0  # between two looks whether the guest still runs, which take a process each


@dataclass(frozen=True, slots=True)
class Machine:
    """A guest that could be started: its definition, its image, and the key under which it is kept warm."""

    spec: DomainSpec
    image: Path
    warm_key: str


def machine(lab: Lab, image: Image, kernel: Kernel, accel: Accel, taps: tuple[TapPlan, ...]) -> Machine:
    """The guest made of these parts."""
    spec = DomainSpec(
        name=GUEST_NAME,
        accel=accel,
        memory_mib=lab.settings.guest.memory,
        cpus=lab.settings.guest.cpus,
        kernel=kernel.image,
        initrd=kernel.initrd,
        modules=kernel.modules,
        disk=lab.state / "vm" / "disk.qcow2",
        console=lab.console,
        taps=taps,
    )
    qemu = lab.host.read("qemu-system-x86_64", "--version").splitlines()[0]
    return Machine(spec, image.path, fingerprint([image.key, kernel.key, domain_xml(spec.portable()), qemu]))


def is_warm(lab: Lab, guest: Machine) -> bool:
    """Whether this very guest has been saved."""
    return lab.cache.has(WARM, guest.warm_key)


def start(lab: Lab, guest: Machine, *, warm: bool) -> None:
    """Start the guest as a journalled step, by booting or by restoring what was saved."""
    saved = lab.cache.entry(WARM, guest.warm_key)
    lab.journal.apply(
        Domain(
            name=guest.spec.name,
            xml=domain_xml(guest.spec),
            uri=lab.settings.uri,
            root=str(lab.libvirt.root),
            capabilities=str(lab.libvirt.capabilities),
            folder=str(lab.console.parent),
            disk=str(guest.spec.disk),
            backing=str(saved / "disk.qcow2" if warm else guest.image),
            saved=str(saved / "memory") if warm else "",
        ),
        SCOPE,
    )


def keep_warm(lab: Lab, guest: Machine, cold: float) -> None:
    """Save the running guest, disk and memory together, and let it go on from there.

    `cold` is how many seconds its boot took, for whoever compares.
    """
    overlay = Path(str(guest.spec.disk))
    needed = (guest.spec.memory_mib << 20) + overlay.stat().st_size
    require_room(lab.cache.root, needed, "a saved guest")
    with lab.cache.building(WARM, guest.warm_key) as folder:
        memory = folder / "memory"
        lab.libvirt.save(guest.spec.name, memory)
        try:
            shutil.copyfile(overlay, folder / "disk.qcow2")
        finally:
            lab.libvirt.restore(memory, domain_xml(guest.spec))
        (folder / COLD_SECONDS).write_text(f"{cold}\n")
    lab.cache.prune(WARM, KEPT_WARM)


def cold_seconds(lab: Lab, guest: Machine) -> float:
    """How long the boot of the saved guest took."""
    return float((lab.cache.entry(WARM, guest.warm_key) / COLD_SECONDS).read_text())


def forget_warm(lab: Lab, guest: Machine) -> None:
    """Drop a saved guest that does not restore."""
    shutil.rmtree(lab.cache.entry(WARM, guest.warm_key), ignore_errors=True)


def stop(lab: Lab) -> int:
    """End the guest and drop its disk; return how many steps were taken back."""
    return lab.journal.undo(SCOPE)


def is_running(lab: Lab) -> bool:
    """Whether a guest of ours runs."""
    if not any(entry.scope == SCOPE for entry in lab.journal.entries()):
        return False
    return GUEST_NAME in lab.libvirt.domains()


def wait_for_ssh(lab: Lab, address: str, stage: Stage) -> None:
    """Wait until sshd in the guest greets; `MpsocksError` with the console's last lines when the guest dies first."""
    limit = lab.settings.guest.boot_timeout
    started = looked = time.monotonic()
    while time.monotonic() - started < limit:
        if _greets(address):
            return
        if time.monotonic() - looked > LOOK_SECONDS:
            looked = time.monotonic()
            if not is_running(lab):
                raise died(lab)
        stage.tell(last_lines(lab.console, 1).strip()[:60])
    raise MpsocksError(
        f"the guest did not answer on {address} port 22 within {limit} s",
        why=f"its console says last:\n{last_lines(lab.console)}",
        hint="give it more time (INVOKE_MPSOCKS_GUEST_BOOT_TIMEOUT), or look at the console log: " + str(lab.console),
    )


def died(lab: Lab) -> MpsocksError:
    """The error for a guest that ended by itself."""
    return MpsocksError(
        "the guest ended while booting",
        why=f"its console says last:\n{last_lines(lab.console)}",
        hint=f"the whole console log is {lab.console}; rebuild with `invoke build-image build-kernel`",
    )


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1.0) as connected:
            connected.settimeout(3.0)
            return connected.recv(4) == b"SSH-"
    except OSError:
        time.sleep(0.2)
        return False
