"""What can be fuzzed: each subject has a target that tries an input, and seeds to start from."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

Check = Callable[[bytes], None]


class What(StrEnum):
    """The subjects there are."""

    CODEC = "codec"
    CAPTURES = "captures"


@dataclass(frozen=True, slots=True)
class Target:
    """Checks by name. The first octet of an input chooses which of them is tried with the others."""

    checks: Mapping[str, Check]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.checks)

    def run(self, data: bytes) -> None:
        """Try one input. Any exception is a finding: AssertionError for a broken property, any other for a crash."""
        if data:
            self.checks[self._name(data)](data[1:])

    def make_input(self, name: str, data: bytes) -> bytes:
        """The input that tries `data` with the check of this name."""
        return bytes((self.names.index(name),)) + data

    def describe(self, data: bytes) -> str:
        """An input, for people."""
        return f"{self._name(data)} {data[1:].hex()}" if data else "nothing"

    def _name(self, data: bytes) -> str:
        return self.names[data[0] % len(self.names)]


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to fuzz. Its modules are loaded by name, since the fuzzer must do that itself."""

    name: What
    package: str
    """Whose branches count as coverage."""
    tests: str
    """The package with the modules `target`, which has TARGET, and `seeds`, which has `seeds()`."""
    largest_input: int
    """Octets."""

    def target(self) -> Target:
        found: Target = importlib.import_module(f"{self.tests}.target").TARGET
        return found

    def seeds(self) -> Iterable[bytes]:
        found: Iterable[bytes] = importlib.import_module(f"{self.tests}.seeds").seeds()
        return found


CODEC = Subject(What.CODEC, "codec", "tests.codec.fuzz", largest_input=4096)
CAPTURES = Subject(What.CAPTURES, "traces", "tests.traces.fuzz", largest_input=8192)
SUBJECTS = {subject.name: subject for subject in (CODEC, CAPTURES)}
