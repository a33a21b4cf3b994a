"""Everything that a task works with, made once from Invoke's context."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from invoke.context import Context

from lab.cache import Cache, make_folder
from lab.journal import Journal
from lab.libvirt_host import LibvirtHost
from lab.progress import Progress
from lab.runner import Runner
from lab.settings import Settings, parse


@dataclass(frozen=True, slots=True)
class Lab:
    """One lab: its settings, the host it changes, the journal of those changes, and what has been built for it."""

    settings: Settings
    host: Runner
    journal: Journal
    cache: Cache
    progress: Progress

    @property
    def state(self) -> Path:
        return self.settings.state_folder

    @property
    def libvirt(self) -> LibvirtHost:
        """The libvirt that runs the guest."""
        return LibvirtHost(self.settings.uri, self.state / "libvirt", self.cache.root / "libvirt")

    @property
    def console(self) -> Path:
        """The log of the guest's serial console."""
        return self.state / "vm" / "console.log"

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other tasks from changing this lab until the block ends; waits for one that is at work."""
        if self.host.dry:
            yield
            return
        make_folder(self.state, 0o700)
        with (self.state / "task.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.progress.line("  another task is at work on this lab: waiting for it to end")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def make_lab(context: Context, settings: Settings | None = None) -> Lab:
    """The lab that Invoke's configuration describes."""
    settings = settings or parse(context.config.mpsocks)
    host = Runner(context)
    journal = Journal(settings.state_folder, host)
    return Lab(settings, host, journal, Cache(settings.cache_folder), Progress())
