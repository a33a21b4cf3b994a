"""Removes namespaces, and with them everything that the emulated internet is."""

from __future__ import annotations

import time
from collections.abc import Iterable

from lab.errors import MpsocksError
from lab.runner import Runner

GRACE_SECONDS = 2.0
POLL_SECONDS = 0.02


def tear_down(namespaces: Iterable[str], runner: Runner) -> None:
    """End every process in the named namespaces and delete them. Those that are not there are left out.

    `MpsocksError` when a process survives SIGKILL.
    """
    # `ip -j netns` prints nothing, not an empty list, when there is none.
    existing = {found["name"] for found in runner.read_json("ip", "-j", "netns", "list")}
    doomed = tuple(name for name in namespaces if name in existing)
    if not _ended("TERM", doomed, runner) and not _ended("KILL", doomed, runner):
        left = ", ".join(f"{pid} in {name}" for name in doomed for pid in _pids(name, runner))
        raise MpsocksError("processes in the emulated internet do not end", why=left, hint="look at what holds them")
    for name in doomed:
        runner.change("ip", "netns", "delete", name)


def _ended(signal: str, namespaces: tuple[str, ...], runner: Runner) -> bool:
    """Send the signal to every process in the namespaces; whether all are gone within the time of grace."""
    pids = _pids_in(namespaces, runner)
    if not pids:
        return True
    # One that ends by itself meanwhile makes kill fail, and that is as good.
    script = f"kill -s {signal} {' '.join(pids)} || true"
    runner.change("sh", "-c", script)
    deadline = time.monotonic() + GRACE_SECONDS
    while not runner.dry and _pids_in(namespaces, runner):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _pids_in(namespaces: tuple[str, ...], runner: Runner) -> list[str]:
    return [pid for name in namespaces for pid in _pids(name, runner)]


def _pids(namespace: str, runner: Runner) -> list[str]:
    return runner.read("ip", "netns", "pids", namespace).split()
