"""Waiting for what another process does."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

from tests.proxy.running import PATIENCE


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether the condition comes to hold in time."""
    until = monotonic() + PATIENCE
    while not holds():
        if monotonic() > until:
            return False
        sleep(0.02)
    return True
