"""Everything that a task works with, made once from Invoke's context."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from invoke.context import Context

from lab.cache import Cache
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


def make_lab(context: Context, settings: Settings | None = None) -> Lab:
    """The lab that Invoke's configuration describes."""
    settings = settings or parse(context.config.mpsocks)
    host = Runner(context)
    journal = Journal(settings.state_folder, host)
    return Lab(settings, host, journal, Cache(settings.cache_folder), Progress())
