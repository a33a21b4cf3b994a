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
    """A file of our own in a folder that may be new too. Never overwrites."""

    path: str
    content: str
    folder_is_new: bool = False
    kind: ClassVar[str] = "file"
    remembered: ClassVar[tuple[str, ...]] = ("folder_is_new",)

    @property
    def subject(self) -> str:
        return f"file {self.path}"

    def prepared(self, host: Runner) -> Self:
        if self.stands(host):
            raise MpsocksError(f"{self.path} is already there", why="mpsocks did not write it", hint="move it away")
        folder_is_new = not host.probe("test", "-d", Path(self.path).parent).ok
        return type(self)(self.path, self.content, folder_is_new)

    def stands(self, host: Runner) -> bool:
        return host.probe("test", "-e", self.path).ok

    def apply(self, host: Runner) -> None:
        host.change("mkdir", "-p", Path(self.path).parent)
        host.change("tee", self.path, stdin=self.content)

    def undo(self, host: Runner) -> None:
        host.change("rm", "-f", self.path)
        if self.folder_is_new and host.probe("test", "-d", Path(self.path).parent).ok:
            host.change("rmdir", "--ignore-fail-on-non-empty", Path(self.path).parent)
