"""The fuzz target: the first octet of an input chooses what is tried with the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.codec.fuzz.conversations import CONVERSATIONS
from tests.codec.fuzz.decoders import DECODERS, check_decoder

CHECKS: dict[str, Callable[[bytes], None]] = {
    **{name: partial(check_decoder, name) for name in DECODERS},
    **CONVERSATIONS,
}
NAMES = tuple(CHECKS)


def run(data: bytes) -> None:
    """Try one input. Any exception is a finding: AssertionError for a broken property, any other for a crash."""
    if data:
        CHECKS[NAMES[data[0] % len(NAMES)]](data[1:])


def make_input(name: str, data: bytes) -> bytes:
    """The input that tries `data` with the check of this name."""
    return bytes((NAMES.index(name),)) + data


def describe(data: bytes) -> str:
    """An input, for people."""
    return f"{NAMES[data[0] % len(NAMES)]} {data[1:].hex()}" if data else "nothing"
