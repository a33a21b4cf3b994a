"""libvirt as the lab uses it: a handful of requests, each carried out by a short-lived process (`libvirt_worker`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import MpsocksError

EMBEDDED = "qemu:///embed"
LONGEST_ROOT = 60  # QEMU's monitor socket lives below the root, and a socket's path has 108 octets
LONGEST_REQUEST = 180.0  # seconds; saving a guest to a slow disk is the longest
SOURCES = Path(__file__).parent.parent


class LibvirtError(MpsocksError):
    """libvirt refused something."""


class LibvirtSilentError(LibvirtError):
    """libvirt did not answer: whether it did what it was asked to is not known."""


@dataclass(frozen=True, slots=True)
class LibvirtHost:
    """A libvirt that runs domains, by its URI."""

    uri: str
    root: Path
    """State folder of the embedded driver; unused with any other URI."""
    capabilities: Path
    """Where the embedded driver remembers what QEMU can do."""

    def version(self) -> int:
        """libvirt's version, as 1000000 * major + 1000 * minor + release."""
        return int(self._request("libvirt does not open", "version"))

    def domains(self) -> list[str]:
        """The names of the domains that run."""
        return list(self._request("libvirt does not tell its domains", "domains"))

    def create(self, xml: str) -> None:
        """Start a transient domain."""
        self._request("libvirt does not start the guest", "create", xml)

    def save(self, name: str, path: Path) -> None:
        """Write a running domain's memory to a file; the domain ends."""
        self._request("libvirt does not save the guest", "save", name, str(path))

    def restore(self, path: Path, xml: str) -> None:
        """Go on with a saved domain, under a definition that may name other files."""
        self._request("libvirt does not restore the guest", "restore", str(path), xml)

    def destroy(self, name: str) -> None:
        """End a domain at once, if it runs."""
        self._request("libvirt does not end the guest", "destroy", name)

    def _request(self, failure: str, operation: str, *arguments: str) -> Any:
        embedded = self.uri == EMBEDDED
        if embedded:
            self._require_short_root()
        request = {
            "uri": self.uri,
            "root": str(self.root) if embedded else "",
            "capabilities": str(self.capabilities),
            "operation": operation,
            "arguments": arguments,
        }
        try:
            # Not from the caller's folder (-P): there may be another `lab` in it.
            done = subprocess.run(
                [sys.executable, "-P", "-m", "lab.libvirt_worker"],
                input=json.dumps(request), capture_output=True, text=True, check=False, timeout=LONGEST_REQUEST,
                env={**os.environ, "PYTHONPATH": str(SOURCES)},
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise LibvirtSilentError(f"{failure} ({self.uri})", why=f"no answer within {error.timeout:g} s") from error
        if done.returncode != 0:
            why = done.stderr.strip() or f"the process that asked it ended with {done.returncode}"
            raise LibvirtSilentError(f"{failure} ({self.uri})", why=why)
        answer = json.loads(done.stdout)
        if "error" in answer:
            hint = "`invoke doctor` names what is missing"
            raise LibvirtError(f"{failure} ({self.uri})", why=answer["error"], hint=hint)
        return answer["result"]

    def _require_short_root(self) -> None:
        if len(str(self.root)) > LONGEST_ROOT:
            raise MpsocksError(
                f"the state folder's path is too long: {self.root}",
                why=f"libvirt's sockets lie below it, and Linux allows their paths 107 octets ({LONGEST_ROOT} for us)",
                hint="set XDG_STATE_HOME, or INVOKE_MPSOCKS_STATE, to a shorter path",
            )
