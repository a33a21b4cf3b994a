"""Opening libvirt.

The embedded driver needs no daemon: it runs in this process, below a root folder of ours. Only one process may have
that root open at a time, so it is opened briefly, under a lock, and never held while a person is being waited for.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt

from lab.errors import MpsocksError

EMBEDDED = "qemu:///embed"
LONGEST_ROOT = 60  # QEMU's monitor socket lives below the root, and a socket's path has 108 octets

QEMU_CONF = """\
stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
"""


class LibvirtError(MpsocksError):
    """libvirt refused something."""

    def __init__(self, what: str, error: libvirt.libvirtError, hint: str = "") -> None:
        super().__init__(what, why=str(error), hint=hint)
        self.code: int = error.get_error_code()


def silence_default_handler() -> None:
    """Keep libvirt from printing errors by itself: they are raised, and printed once, with a hint."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)


class _EventLoop:
    """The event loop that the embedded driver wants running in its process, started once."""

    _started = False

    @classmethod
    def ensure(cls) -> None:
        if cls._started:
            return
        cls._started = True
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=cls._run, name="libvirt-events", daemon=True).start()

    @staticmethod
    def _run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()


@contextmanager
def connection(uri: str, root: Path, capabilities: Path | None = None) -> Iterator[libvirt.virConnect]:
    """A connection to libvirt.

    `root` is where the embedded driver keeps its state, unused with any other URI. Asking QEMU what it can do takes
    seconds, so its answer goes to the folder `capabilities`, which outlives the root.
    """
    silence_default_handler()
    if uri != EMBEDDED:
        with _opened(uri) as opened:
            yield opened
        return
    _prepare_root(root, capabilities)
    _EventLoop.ensure()
    with (root / "turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        with _opened(f"{EMBEDDED}?root={root}") as opened:
            yield opened


@contextmanager
def _opened(uri: str) -> Iterator[libvirt.virConnect]:
    try:
        opened = libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise LibvirtError(f"libvirt does not open {uri}", error, "`invoke doctor` names what is missing") from error
    try:
        yield opened
    finally:
        opened.close()


def _prepare_root(root: Path, capabilities: Path | None) -> None:
    if len(str(root)) > LONGEST_ROOT:
        raise MpsocksError(
            f"the state folder's path is too long: {root}",
            why=f"libvirt's sockets live below it, and Linux allows a socket's path 107 octets ({LONGEST_ROOT} for us)",
            hint="set XDG_STATE_HOME, or INVOKE_MPSOCKS_STATE, to a shorter path",
        )
    (root / "etc").mkdir(parents=True, exist_ok=True, mode=0o700)
    (root / "etc" / "qemu.conf").write_text(QEMU_CONF)
    if capabilities and not (root / "cache").exists():
        capabilities.mkdir(parents=True, exist_ok=True)
        (root / "cache").symlink_to(capabilities)
