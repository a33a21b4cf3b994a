"""Booting the guest until one can log in."""

from __future__ import annotations

import time
from dataclasses import dataclass

from guest.connection import guest, guest_address
from images.build import Image
from kernel.build import Kernel
from lab import vm
from lab.acceleration import choose_acceleration
from lab.context import Lab
from lab.domain import Accel
from lab.errors import MpsocksError
from lab.host_network import require_tap
from lab.plan import TapPlan, tap_plan

SETTLE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Boot:
    """How the guest came up. `cold` and `warm` are seconds until a login over SSH worked, where that way was gone."""

    accel: Accel
    cold: float | None
    warm: float | None
    cold_when_saved: float | None = None
    """The seconds of the cold boot that a restored guest goes back to."""

    def lines(self) -> list[str]:
        """The boot for a person."""
        ways = (("cold boot", self.cold), ("warm boot", self.warm))
        return [f"{name} to SSH under {self.accel}: {seconds:.1f} s" for name, seconds in ways if seconds is not None]


def boot(lab: Lab, image: Image, kernel: Kernel, taps: tuple[TapPlan, ...], *, cold: bool) -> Boot:
    """Start the guest on these taps and wait for it.

    The first start of a guest boots it, saves it and restores it; later ones restore it. With `cold` it is booted,
    whatever has been saved.
    """
    _require_taps(lab, taps)
    require_no_guest(lab)
    accel = choose_acceleration(lab, kernel)
    machine = vm.machine(lab, image, kernel, accel, taps)
    if lab.host.dry:
        vm.start(lab, machine, warm=False)
        return Boot(accel, None, None)
    # A guest that ended by itself has left its disk and its entry in the journal.
    vm.stop(lab)
    with lab.journal.transaction():
        if not cold and vm.is_warm(lab, machine):
            try:
                warm = _start(lab, machine, warm=True)
                return Boot(accel, None, warm, vm.cold_seconds(lab, machine))
            except MpsocksError as error:
                # A saved guest is worth no more than a boot: whatever is wrong with it, boot instead.
                lab.progress.line(f"  the saved guest does not come back ({error.what}): booting it")
                vm.forget_warm(lab, machine)
                vm.stop(lab)
        seconds = _start(lab, machine, warm=False)
        return Boot(accel, seconds, None if cold else _save_and_restore(lab, machine, seconds))


def require_no_guest(lab: Lab) -> None:
    """Refuse to start a second guest."""
    if not lab.host.dry and vm.is_running(lab):
        raise MpsocksError(
            "a guest is already running",
            why="one lab host runs one guest",
            hint="look at it with `invoke status`, end it with `invoke shutdown-vm`, or everything with `invoke clean`",
        )


def _start(lab: Lab, machine: vm.Machine, *, warm: bool) -> float:
    started = time.monotonic()
    with lab.progress.stage("restoring the saved guest" if warm else "booting the guest") as stage:
        vm.start(lab, machine, warm=warm)
        if not warm:
            vm.wait_for_ssh(lab, guest_address(), stage)
        # A restored guest listens already, and each connection that only looks costs it a process.
        _log_in(lab)
    return time.monotonic() - started


def _save_and_restore(lab: Lab, machine: vm.Machine, cold: float) -> float | None:
    """Save the guest for a warm start next time; the seconds of the first one, or none when it could not be saved."""
    with lab.progress.stage("letting the guest settle"), guest(lab) as inside:
        # "degraded" is an answer too: what matters is that nothing is starting any more.
        inside.runner.probe("systemctl", "is-system-running", "--wait", timeout=SETTLE_SECONDS)
        inside.runner.change("sync")
    try:
        with lab.progress.stage("saving the guest, for a warm start next time"):
            vm.keep_warm(lab, machine, cold)
            started = time.monotonic()
            _log_in(lab)
    except (MpsocksError, OSError) as error:
        if not vm.is_running(lab):
            raise
        lab.progress.line(f"  it was not saved, and the next start will be cold: {error}")
        return None
    return time.monotonic() - started


def _log_in(lab: Lab) -> None:
    with guest(lab) as inside:
        inside.runner.read("true")


def _require_taps(lab: Lab, taps: tuple[TapPlan, ...]) -> None:
    if taps[0].n != 0:
        raise MpsocksError(
            f"the guest cannot be reached without tap {tap_plan(0).tap}",
            why="SSH and SOCKS are at the address of its interface 0",
            hint="make it too: invoke configure-host-tap 0",
        )
    for plan in taps:
        require_tap(lab.host, plan)
