"""The step that makes a network namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from lab.errors import MpsocksError
from lab.runner import Runner
from lab.steps.base import Step


@dataclass(frozen=True, slots=True)
class NetworkNamespace(Step):
    """A named network namespace. Everything in it, processes too, goes with it."""

    name: str
    kind: ClassVar[str] = "netns"

    @property
    def subject(self) -> str:
        return f"network namespace {self.name}"

    def prepared(self, host: Runner) -> Self:
        if self.stands(host):
            raise MpsocksError(
                f"{self.subject} is already there",
                why="mpsocks did not make it",
                hint=f"remove it (ip netns delete {self.name})",
            )
        return self

    def stands(self, host: Runner) -> bool:
        # ip -j netns prints nothing at all, not an empty list, when there is none.
        return any(found["name"] == self.name for found in host.read_json("ip", "-j", "netns", "list"))

    def apply(self, host: Runner) -> None:
        host.change("ip", "netns", "add", self.name)

    def undo(self, host: Runner) -> None:
        from lab.testbed.teardown import tear_down

        tear_down((self.name,), host)
