"""Finding out whether KVM really runs our guest.

`/dev/kvm` can be there and a guest kernel still hang at its first instruction, on nested and paravirtual KVM. So the
kernel is started once under KVM, without a disk: it must get as far as to complain about that on its console.
"""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path

from kernel.build import Kernel
from lab.cache import fingerprint
from lab.console import console_text
from lab.context import Lab
from lab.domain import Accel, DomainSpec, domain_xml
from lab.libvirt_host import LibvirtError, LibvirtSilentError
from lab.steps import Domain

KVM = Path("/dev/kvm")
TRIAL_SECONDS = 12.0
REACHED_THE_END = "Kernel panic"
SCOPE = "kvm-trial"


def choose_acceleration(lab: Lab, kernel: Kernel) -> Accel:
    """What to run this kernel with: as configured, or KVM where it was seen to work and TCG elsewhere."""
    wanted = lab.settings.guest.accel
    if wanted != "auto":
        return Accel(wanted)
    if lab.settings.uri.startswith("qemu:///") and not os.access(KVM, os.R_OK | os.W_OK):
        return Accel.TCG
    answer = _answer_file(lab, kernel)
    if answer.exists():
        return Accel(json.loads(answer.read_text())["accel"])
    if lab.host.dry:
        return Accel.TCG
    with lab.progress.stage("trying the kernel under KVM") as stage:
        works = _kernel_runs(lab, kernel)
        stage.tell("works" if works else "it hangs")
    accel = Accel.KVM if works else Accel.TCG
    answer.parent.mkdir(parents=True, exist_ok=True)
    # Whole or not at all: half an answer would stand in the way of every later boot.
    fresh = answer.with_suffix(".new")
    fresh.write_text(json.dumps({"accel": accel}))
    fresh.replace(answer)
    if not works:
        lab.progress.line("  KVM is there but the kernel does not run under it: using TCG, which is slower")
        lab.progress.line(f"  (remembered in {answer}; remove it to try again)")
    return accel


def _answer_file(lab: Lab, kernel: Kernel) -> Path:
    """The answer holds for this kernel on this host's kernel and processor, reached by this URI."""
    host = [platform.release(), platform.version(), _processor(), lab.settings.uri]
    return lab.cache.root / "acceleration" / f"{fingerprint([kernel.key, *host])}.json"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line for line in lines if line.startswith("model name")), "")


def _kernel_runs(lab: Lab, kernel: Kernel) -> bool:
    folder = lab.state / "kvm-trial"
    spec = DomainSpec(
        name="mpsocks-kvm-trial",
        accel=Accel.KVM,
        memory_mib=256,
        cpus=1,
        kernel=kernel.image,
        initrd=None,
        modules=None,
        disk=None,
        console=folder / "console.log",
    )
    step = Domain(
        spec.name, domain_xml(spec), lab.settings.uri, str(lab.libvirt.root), str(lab.libvirt.capabilities), str(folder)
    )
    try:
        lab.journal.apply(step, SCOPE)
        return _panicked(spec.console)
    except LibvirtSilentError:
        raise  # an answer that is not known is not remembered
    except LibvirtError:
        # KVM that refuses to start a domain at all answers the question too.
        return False
    finally:
        lab.journal.undo(SCOPE)


def _panicked(console: Path) -> bool:
    """Whether the kernel came to the panic that a missing root file system leads to."""
    deadline = time.monotonic() + TRIAL_SECONDS
    while time.monotonic() < deadline:
        if REACHED_THE_END in console_text(console):
            return True
        time.sleep(0.2)
    return False
