"""Runs tasks as `invoke` does, in a network namespace, without the half second that a new interpreter takes."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from invoke.program import Program

ROOT = Path(__file__).parent.parent
CLONE_NEWNET = 0x40000000
# Each task runs in a process forked from one that has imported everything already.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tasks"])


@dataclass(frozen=True)
class Ended:
    """How a task ended, and what it printed."""

    exit_code: int
    out: str
    err: str


def invoke(*arguments: str, namespace: str, folder: Path) -> Ended:
    """`invoke ARGUMENTS` in that network namespace, with state, cache and home below `folder`."""
    out, err = folder / "out", folder / "err"
    process = _processes.Process(target=_run, args=(arguments, namespace, folder, out, err))
    process.start()
    process.join()
    assert process.exitcode is not None
    ended = Ended(process.exitcode, out.read_text(), err.read_text())
    process.close()
    out.unlink()
    err.unlink()
    return ended


def _run(arguments: tuple[str, ...], namespace: str, folder: Path, out: Path, err: Path) -> None:
    for path, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    with Path("/run/netns", namespace).open("rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    for name in [name for name in os.environ if name.startswith(("INVOKE_", "XDG_"))]:
        del os.environ[name]
    os.environ |= {
        "HOME": str(folder),
        "INVOKE_MPSOCKS_STATE": str(folder / "state"),
        "INVOKE_MPSOCKS_CACHE": str(folder / "cache"),
        # libvirt's test driver: it answers at once, and runs nothing.
        "INVOKE_MPSOCKS_URI": "test:///default",
        # Namespaces have their names from the whole machine: a testbed that somebody has there is none of the test's.
        "INVOKE_MPSOCKS_TESTBED_PREFIX": f"t{os.getpid()}",
    }
    sys.argv = ["invoke", "--search-root", str(ROOT), *arguments]
    Program().run(sys.argv)
