"""Steps on the host's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from lab.errors import MpsocksError
from lab.runner import Runner
from lab.steps.base import Step


@dataclass(frozen=True, slots=True)
class NewFile(Step):
    """A file of our own, in folders that may be new too. Never overwrites."""

    path: str
    content: str
    new_folders: tuple[str, ...] = ()
    """The folders that were missing, the innermost first."""
    kind: ClassVar[str] = "file"
    remembered: ClassVar[tuple[str, ...]] = ("new_folders",)

    @property
    def subject(self) -> str:
        return f"file {self.path}"

    def prepared(self, host: Runner) -> Self:
        if self.stands(host):
            raise MpsocksError(f"{self.path} is already there", why="mpsocks did not write it", hint="move it away")
        missing = (folder for folder in Path(self.path).parents if not host.probe("test", "-d", folder).ok)
        return type(self)(self.path, self.content, tuple(map(str, missing)))

    def stands(self, host: Runner) -> bool:
        return host.probe("test", "-e", self.path).ok

    def apply(self, host: Runner) -> None:
        host.change("mkdir", "-p", Path(self.path).parent)
        host.change("tee", self.path, stdin=self.content)

    def undo(self, host: Runner) -> None:
        host.change("rm", "-f", self.path)
        left = [folder for folder in self.new_folders if host.probe("test", "-d", folder).ok]
        if left:
            host.change("rmdir", "--ignore-fail-on-non-empty", *left)
