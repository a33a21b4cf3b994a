"""What a step is: one change to the host that can be undone."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from lab.runner import Runner


@dataclass(frozen=True, slots=True)
class Step(ABC):
    """One change to the host. Its fields are plain JSON data: they are all that `undo` may need after a crash.

    `undo` must do the right thing whether `apply` ran wholly, in part or not at all, and when it is called twice.
    """

    kind: ClassVar[str]
    shared: ClassVar[bool] = False
    """Several scopes may want the same change; it is taken back when the last of them goes."""
    remembered: ClassVar[tuple[str, ...]] = ()
    """The fields that `prepared` fills in: what was there before, not what is wanted."""

    @property
    @abstractmethod
    def subject(self) -> str:
        """What is changed, in a few words: two steps with the same subject want the same thing."""

    def prepared(self, host: Runner) -> Self:  # noqa: ARG002 - most steps have nothing to remember
        """The same step, knowing what `undo` will have to restore. Raises when the change must not be made."""
        return self

    @abstractmethod
    def stands(self, host: Runner) -> bool:
        """Whether the change is in force now."""

    @abstractmethod
    def apply(self, host: Runner) -> None:
        """Make the change."""

    @abstractmethod
    def undo(self, host: Runner) -> None:
        """Take it back, as far as it is there."""

    def wants_the_same_as(self, other: Step) -> bool:
        """Whether both ask for the same change, whatever was there before it."""
        mine, theirs = self.as_record(), other.as_record()
        return all(mine[name] == theirs.get(name) for name in mine if name not in self.remembered)

    def as_record(self) -> dict[str, Any]:
        """Plain data for the journal."""
        return {"kind": self.kind, **dataclasses.asdict(self)}
