"""Fixtures for tests of what is done in the guest."""

from __future__ import annotations

import pytest
from invoke.config import Config
from invoke.context import Context

from lab.runner import Runner


@pytest.fixture
def dry() -> Runner:
    """A Runner that prints what would change something."""
    return Runner(Context(Config(overrides={"run": {"dry": True}})))
