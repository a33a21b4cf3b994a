"""The emulated internet for all end-to-end tests of a process, and a lab in it for those that only use one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab_e2e.cli import Cli, succeeded


@pytest.fixture(scope="session")
def cli() -> Iterator[Cli]:
    # Short, since libvirt's sockets lie below it.
    state_home = Path(tempfile.mkdtemp(prefix="mps-"))
    cli = Cli(state_home, f"t{os.getpid()}")
    try:
        # Nothing can be fetched from within the emulated internet.
        succeeded(cli.invoke("build-image", "install-vm-extra", "build-kernel"))
        succeeded(cli.invoke("testbed-up"))
        yield cli
    finally:
        # When this fails the state stays, so that `XDG_STATE_HOME=… ./inv clean` can be tried again.
        succeeded(cli.invoke("clean"))
        shutil.rmtree(state_home)


@pytest.fixture(scope="module")
def lab(cli: Cli) -> Iterator[dict[str, Any]]:
    """A lab that is up over both uplinks, as `boot-socks --json` reports it."""
    running = cli.json_inside("boot-socks", "--itf", "wlp1s0,wlan1", "--detach")
    try:
        yield running
    finally:
        succeeded(cli.invoke_inside("clean"))
