"""Whatever dies, `clean` puts the host back."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.lab_e2e.cli import Cli, succeeded
from tests.lab_e2e.host_state import host_state

pytestmark = [pytest.mark.vm, pytest.mark.netns]

TASK = ("boot-socks", "--itf", "wlp1s0,wlan1", "--detach")


def test_a_boot_that_fails_leaves_the_host_as_it_was(cli: Cli) -> None:
    before = host_state(cli)
    done = cli.inside("env", "INVOKE_MPSOCKS_GUEST_BOOT_TIMEOUT=1", "invoke", *TASK, "--cold")
    assert done.returncode == 1
    assert "did not answer" in done.stderr
    assert "do:" in done.stderr
    assert host_state(cli) == before


def test_a_guest_that_dies_is_reported_with_its_last_words(cli: Cli) -> None:
    succeeded(cli.invoke_inside("configure-host-tap", "0"))
    try:
        said = succeeded(cli.inside("python", "-m", "tests.lab_e2e.drivers.boot_blank_disk")).stdout
    finally:
        succeeded(cli.invoke_inside("clean"))
    assert "the guest ended while booting" in said
    assert "Unable to mount root fs" in said


def test_interrupting_boot_socks_cleans(cli: Cli) -> None:
    before = host_state(cli)
    argv = cli.on_lab_host("invoke", "boot-socks", "--itf", "wlp1s0,wlan1")
    with subprocess.Popen(
        argv, env=cli.environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as task:
        assert task.stderr is not None
        for line in task.stderr:
            if "^C ends and cleans" in line:
                task.send_signal(signal.SIGINT)
        task.wait()
    assert host_state(cli) == before


def test_clean_from_outside_removes_a_testbed_with_a_lab_in_it(cli: Cli) -> None:
    """A second testbed, so that the one of the other tests stays."""
    other = Cli(cli.state_home / "second", f"{cli.prefix}s")
    try:
        succeeded(other.invoke("testbed-up"))
        other.json_inside(*TASK)
    finally:
        done = other.invoke("clean")
    succeeded(done)
    namespaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert f"{cli.prefix}s-" not in namespaces
    assert f"{cli.prefix}-lab" in namespaces
