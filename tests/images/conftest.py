"""A recipe with keys of its own, and a cache that is empty."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.config import Config
from invoke.context import Context

from images.recipe import GuestLink, ImageRecipe
from lab.cache import Cache
from lab.runner import Runner

CLIENT_KEY = "ssh-ed25519 AAAAclient lab"
PRIVATE_TEXT = "the guest's private host key"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def dry() -> Runner:
    """Prints the commands that would change something."""
    return Runner(Context(Config(overrides={"run": {"dry": True}})))


@pytest.fixture
def recipe(tmp_path: Path) -> ImageRecipe:
    host_key = tmp_path / "host_ed25519"
    host_key.write_text(PRIVATE_TEXT)
    host_key.with_suffix(".pub").write_text("ssh-ed25519 AAAAhost guest\n")
    links = tuple(GuestLink(f"52:54:00:66:06:0{n}", f"mptcp{n}", f"10.66.{6 + n}.2/24") for n in range(2))
    return ImageRecipe(CLIENT_KEY, host_key, links)
