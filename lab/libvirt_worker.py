"""The process that talks to libvirt: one request as JSON on standard input, one answer as JSON on standard output.

The embedded driver runs inside the process that opens it, below a root folder of ours, and holds that root until the
process ends, closed or not. So each request has a short-lived process of its own, and waits for its turn.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libvirt

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


def main() -> None:
    """Answer with `{"result": …}`, or `{"error": TEXT}` when libvirt refuses."""
    request = json.load(sys.stdin)
    # What libvirt has to say is in the error that is answered; it would print it as well.
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        host = _connection(request["uri"], request["root"], request["capabilities"])
        answer = {"result": OPERATIONS[request["operation"]](host, *request["arguments"])}
    except libvirt.libvirtError as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)
    sys.stdout.flush()
    # At once: on the way out the event loop's thread would still be using what libvirt is taking apart (seen to crash).
    os._exit(0)


def _version(host: libvirt.virConnect) -> int:
    return int(host.getLibVersion())


def _domains(host: libvirt.virConnect) -> list[str]:
    return [domain.name() for domain in host.listAllDomains() if _answers(domain)]


def _answers(domain: libvirt.virDomain) -> bool:
    """Whether its QEMU is there: until the driver has reached for it again, libvirt also lists one that has ended."""
    try:
        # Asks QEMU itself, and so waits for the driver; any such question would do.
        domain.diskErrors()
    except libvirt.libvirtError:
        return False
    return True


def _create(host: libvirt.virConnect, xml: str) -> None:
    host.createXML(xml)


def _save(host: libvirt.virConnect, name: str, path: str) -> None:
    host.lookupByName(name).save(path)


def _restore(host: libvirt.virConnect, path: str, xml: str) -> None:
    host.restoreFlags(path, xml)


def _destroy(host: libvirt.virConnect, name: str) -> None:
    domain = next((domain for domain in host.listAllDomains() if domain.name() == name), None)
    if domain is None:
        return
    try:
        domain.destroy()
    except libvirt.libvirtError:
        # It may have ended by itself since it was looked up.
        if name in _domains(host):
            raise


OPERATIONS: dict[str, Callable[..., Any]] = {
    "version": _version,
    "domains": _domains,
    "create": _create,
    "save": _save,
    "restore": _restore,
    "destroy": _destroy,
}


def _connection(uri: str, root: str, capabilities: str) -> libvirt.virConnect:
    if not root:
        return libvirt.open(uri)
    _prepare_root(Path(root), Path(capabilities))
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run_events, daemon=True).start()
    # Never closed: the turn ends with the process, as the driver's hold on its root does.
    fcntl.flock(os.open(Path(root) / "turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), fcntl.LOCK_EX)
    return libvirt.open(f"{uri}?root={root}")


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def _prepare_root(root: Path, capabilities: Path) -> None:
    (root / "etc").mkdir(parents=True, exist_ok=True, mode=0o700)
    (root / "etc" / "qemu.conf").write_text(QEMU_CONF)
    # Asking QEMU what it can do takes seconds: its answer outlives the root.
    if not (root / "cache").exists():
        capabilities.mkdir(parents=True, exist_ok=True)
        (root / "cache").symlink_to(capabilities)


if __name__ == "__main__":
    main()
