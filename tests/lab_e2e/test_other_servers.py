"""The same with other people's programs in the guest: dante, redsocks, and ssh -D."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab_e2e.cli import Cli, succeeded
from tests.lab_e2e.test_lab import PAGE, YAY

pytestmark = [pytest.mark.vm, pytest.mark.netns]


@pytest.fixture(scope="module", autouse=True)
def dante_and_redsocks(cli: Cli) -> Iterator[None]:
    options = ("--server", "dante", "--socksifier", "redsocks")
    try:
        cli.json_inside("boot-socks", "--itf", "wlp1s0,wlan1", "--detach", *options)
        yield
    finally:
        succeeded(cli.invoke_inside("clean"))


def test_dante_and_redsocks_use_both_uplinks(cli: Cli) -> None:
    assert cli.json_inside("check-mptcp")["outcome"] == "proven"
    running = succeeded(cli.invoke_inside("ssh-vm", "--command", "ps -e -o comm=")).stdout
    assert "danted" in running
    assert "redsocks" in running


def test_ssh_and_our_socksifier_use_both_uplinks(cli: Cli) -> None:
    try:
        started = succeeded(cli.invoke_inside("run-socks", "--server", "ssh")).stdout
        succeeded(cli.invoke_inside("run-socksifier", "--server", "mpsocks"))
        page = succeeded(cli.inside("curl", "-sS", "--socks5-hostname", "127.0.0.1:6666", PAGE)).stdout
        verdict = cli.json_inside("check-mptcp")
    finally:
        succeeded(cli.invoke_inside("run-socks", "--server", "dante"))
    assert "127.0.0.1:6666" in started
    assert page.strip() == YAY
    assert verdict["outcome"] == "proven"


def test_redsocks_without_a_socks_server_in_the_guest_is_refused(cli: Cli) -> None:
    try:
        succeeded(cli.invoke_inside("run-socks", "--server", "ssh"))
        done = cli.invoke_inside("run-socksifier", "--server", "redsocks")
    finally:
        succeeded(cli.invoke_inside("run-socks", "--server", "dante"))
    assert done.returncode == 1
    assert "no SOCKS server" in done.stderr
