"""Starting a service in the guest, as the commands that it takes, recorded by Invoke's MockContext."""

from __future__ import annotations

from pathlib import Path

import pytest

from guest.services import BUNDLE, Socksifier, SocksServer, socks_service
from guest.start import run_both, run_socks, run_socksifier, socks_address
from lab.context import Lab
from lab.plan import tap_plans
from lab.runner import Runner
from tests.conftest import lab_on
from tests.guest.recording import commands, recording_guest

PLANS = tap_plans(1)


@pytest.fixture
def lab(here: Runner, tmp_path: Path) -> Lab:
    return lab_on(here, tmp_path)


def position(asked: list[str], start: str) -> int:
    return next(number for number, command in enumerate(asked) if command.startswith(start))


def test_rivals_end_before_files_are_written_and_the_unit_starts_last(lab: Lab) -> None:
    guest, context = recording_guest()
    assert run_socks(lab, guest, SocksServer.MPSOCKS, PLANS) == "10.66.6.2:6666"
    asked = commands(context)
    steps = ("sh -c 'systemctl stop ", "tee /etc/systemd/system/mpsocks-proxy.service", "systemctl daemon-reload")
    order = [position(asked, start) for start in (*steps, "systemctl restart mpsocks-proxy")]
    assert order == sorted(order)
    assert "mpsocks-dante mpsocks-sshd" in asked[order[0]]
    assert asked[order[1]].endswith(f"{dict(socks_service(SocksServer.MPSOCKS, PLANS).files).popitem()[1]}MPSOCKS_END")


def test_our_own_program_is_copied_before_it_is_started(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    guest, _ = recording_guest()
    run_socks(lab, guest, SocksServer.MPSOCKS, PLANS)
    assert capsys.readouterr().out.strip().endswith(f"root@10.66.6.2:{BUNDLE}")


def test_dante_brings_its_configuration_and_no_program(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    guest, context = recording_guest()
    run_socks(lab, guest, SocksServer.DANTE, PLANS)
    asked = commands(context)
    assert position(asked, "tee /opt/mpsocks/danted.conf") < position(asked, "systemctl restart mpsocks-dante")
    assert capsys.readouterr().out == ""


def test_connections_are_redirected_only_once_the_socksifier_runs(lab: Lab) -> None:
    guest, context = recording_guest()
    run_socksifier(guest, Socksifier.REDSOCKS, PLANS)
    asked = commands(context)
    assert position(asked, "systemctl restart mpsocks-redsocks") < position(asked, "nft -f -")


def test_both_start_with_one_command(lab: Lab) -> None:
    guest, context = recording_guest()
    run_both(lab, guest, SocksServer.MPSOCKS, Socksifier.MPSOCKS, PLANS)
    asked = commands(context)
    assert "systemctl restart mpsocks-proxy mpsocks-socksifier" in asked
    assert asked[-1].startswith("nft -f -")


def test_without_an_ssh_client_the_socks_server_is_in_the_guest(lab: Lab) -> None:
    assert socks_address(lab) == "10.66.6.2:6666"
