"""One emulated internet for all the tests that look at it, and ways to stand inside its namespaces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from invoke.context import Context

from lab.progress import Progress
from lab.runner import Runner
from lab.testbed.build import build
from lab.testbed.model import Topology
from lab.testbed.settings import TestbedSettings
from lab.testbed.teardown import tear_down
from lab.testbed.topology import topology


@pytest.fixture(scope="session")
def runner() -> Runner:
    return Runner(Context())


@contextmanager
def standing(settings: TestbedSettings, runner: Runner, state: Path) -> Iterator[Topology]:
    """That emulated internet, built, and torn down at the end with the one file that it needs outside."""
    plan = topology(settings)
    file = plan.resolv_conf
    new_folders = [folder for folder in (file.path.parent, file.path.parent.parent) if not folder.exists()]
    file.path.parent.mkdir(parents=True)
    file.path.write_text(file.content)
    try:
        build(plan, runner, Progress(), state)
        yield plan
    finally:
        tear_down(plan.namespace_names, runner)
        file.path.unlink()
        for folder in new_folders:
            # Tests that run at the same time have files of their own in the outer one.
            with suppress(OSError):
                folder.rmdir()


@pytest.fixture(scope="session")
def testbed(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    """The emulated internet with its default settings, under names that no other run uses."""
    settings = TestbedSettings(prefix=f"t{os.getpid()}")
    with standing(settings, runner, tmp_path_factory.mktemp("testbed")) as plan:
        yield plan
