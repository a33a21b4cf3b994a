"""A guest that is a network namespace, and one that only writes down what would be done in it."""

from __future__ import annotations

from typing import cast
from unittest.mock import Mock

from invoke.context import MockContext
from invoke.runners import Result

from guest.connection import Guest
from lab.runner import Runner


class NamespaceGuest(Guest):
    """Commands run in a network namespace of this machine; files are kept here instead of written."""

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner, None)
        self.files: dict[str, str] = {}

    @property
    def dry(self) -> bool:
        return False

    def write(self, remote: str, text: str) -> None:
        self.files[remote] = text


def recording_guest() -> tuple[Guest, MockContext]:
    """A guest whose commands are recorded by Invoke's MockContext and all succeed."""
    context = MockContext(run=Result(stdout="", exited=0), repeat=True)
    return Guest(Runner(context), None), context


def commands(context: MockContext) -> list[str]:
    """What was asked of a recorded guest, without what the runner puts around it."""
    asked = [call.args[0] for call in cast(Mock, context.run).call_args_list]
    return [command.removeprefix("exec ").removesuffix(" </dev/null") for command in asked]
