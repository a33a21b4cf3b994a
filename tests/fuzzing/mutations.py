"""Fuzzing without a guide, on any platform: the seeds, changed at random in the ways that break parsers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.fuzzing.subject import Target

BOUNDS = (b"\0", b"\1", b"\x7f", b"\x80", b"\xff", b"\0\0", b"\0\4", b"\x40\0", b"\x40\4", b"\xff\xff", b"\xff\xfc")
"""Numbers at which fields, lengths and limits change their meaning."""
MOST_CHANGES = 4

Change = Callable[[random.Random, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Finding:
    """An input, and what went wrong with it."""

    data: bytes
    error: Exception


def search(target: Target, seeds: Sequence[bytes], runs: int, seed: int = 0) -> Finding | None:
    """The first finding among the seeds and so many changed ones; the same for the same arguments."""
    rng = random.Random(seed)
    for turn in range(len(seeds) + runs):
        data = seeds[turn] if turn < len(seeds) else mutate(rng, seeds)
        try:
            target.run(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            return Finding(data, error)
    return None


def mutate(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A seed with a few changes; or the start of one with the end of another."""
    data = rng.choice(seeds)
    if rng.random() < 0.1:
        other = rng.choice(seeds)
        data = data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]
    for _ in range(rng.randint(1, MOST_CHANGES)):
        data = rng.choice(CHANGES)(rng, data)
    return data


def _flip_bit(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes(octet ^ 1 << rng.randrange(8) for octet in data[at : at + 1]) + data[at + 1 :]


def _set_bound(rng: random.Random, data: bytes) -> bytes:
    at, bound = rng.randrange(len(data) + 1), rng.choice(BOUNDS)
    return data[:at] + bound + data[at + len(bound) :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.randint(1, 4)) + data[at:]


def _delete(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randint(1, 8) :]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    end = at + rng.randint(1, 16)
    return data[:end] + data[at:]


def _truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


CHANGES: tuple[Change, ...] = (_flip_bit, _set_bound, _insert, _delete, _repeat, _truncate)
