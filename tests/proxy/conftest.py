"""A proxy that most tests share: two workers, this host alone, loopback destinations allowed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.proxy.peers import echo, serving
from tests.proxy.running import LOOPBACK, RunningProxy


@pytest.fixture(scope="session")
def proxy() -> Iterator[RunningProxy]:
    with RunningProxy(
        "serve", "--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--workers", "2", *LOOPBACK
    ) as running:
        yield running


@pytest.fixture
def echo_port() -> Iterator[int]:
    """The port of an echo server on 127.0.0.1."""
    with serving(echo) as port:
        yield port
