"""The step that limits how many subflows the kernel's path manager makes."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import ClassVar, Self

from lab.runner import Runner
from lab.steps.base import Step


@dataclass(frozen=True, slots=True)
class MptcpLimits(Step):
    """So many subflows besides the first, and so many addresses taken from what peers announce."""

    subflows: int
    addresses: int
    previous: tuple[int, ...] = ()
    """The same two as they were; empty when the kernel has no MPTCP."""
    kind: ClassVar[str] = "mptcp-limits"
    remembered: ClassVar[tuple[str, ...]] = ("previous",)

    @property
    def subject(self) -> str:
        return "limits of MPTCP's path manager"

    def prepared(self, host: Runner) -> Self:
        return dataclasses.replace(self, previous=self._current(host))

    def stands(self, host: Runner) -> bool:
        return self._current(host) == (self.subflows, self.addresses)

    def apply(self, host: Runner) -> None:
        self._set(host, self.subflows, self.addresses)

    def undo(self, host: Runner) -> None:
        # Limits that someone else changed since are theirs.
        if self.previous and self.stands(host):
            self._set(host, *self.previous)

    @staticmethod
    def _current(host: Runner) -> tuple[int, ...]:
        """`ip -j` has no JSON for limits in older releases: text in both."""
        found = host.probe("ip", "mptcp", "limits", "show")
        values = dict(re.findall(r"(add_addr_accepted|subflows) (\d+)", found.stdout))
        return (int(values["subflows"]), int(values["add_addr_accepted"])) if len(values) == 2 else ()

    @staticmethod
    def _set(host: Runner, subflows: int, addresses: int) -> None:
        host.change("ip", "mptcp", "limits", "set", "subflows", str(subflows), "add_addr_accepted", str(addresses))
