"""The lab end to end: a guest over two uplinks, a SOCKS server in it, and connections that really are MPTCP."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from guest.services import BUNDLE
from lab.testbed.web.octets import Digests
from tests.lab_e2e.cli import Cli, succeeded
from tests.lab_e2e.test_uplinks import restore_uplink

pytestmark = [pytest.mark.vm, pytest.mark.netns]

PAGE = "http://mptcp.test/"
YAY = "Yay, you are MPTCP-capable! You can now rest in peace."
WEB_SERVER = "203.0.113.10"
FILE_OCTETS = 20_000_000


def test_boots_and_tells_what_to_use(lab: dict[str, Any]) -> None:
    assert lab["uplinks"] == {"mptcp0": "wlp1s0", "mptcp1": "wlan1"}
    assert lab["socks"] == "10.66.6.2:6666"
    assert lab["boot"]["warm"] is not None


def test_status_shows_that_every_step_stands(cli: Cli, lab: dict[str, Any]) -> None:
    status = cli.json_inside("status")
    assert status["guest_runs"]
    assert status["uplinks"] == {"0": "wlp1s0", "1": "wlan1"}
    assert [step for step in status["steps"] if not step["stands"]] == []


@pytest.mark.parametrize(("unit", "folder"), [("mpsocks-proxy", "mpsocks"), ("mpsocks-socksifier",) * 2])
def test_live_connections_are_shown_also_after_a_reload(cli: Cli, lab: dict[str, Any], unit: str, folder: str) -> None:
    """Nobody is connected: there are the sockets of its workers, and they answer."""
    top = f"python3 {BUNDLE} top --json /run/{folder}"
    command = f"systemctl reload {unit} && {top} && ls /run/{folder} && systemctl is-active {unit}"
    *sockets, state = succeeded(cli.invoke_inside("ssh-vm", "--command", command)).stdout.split()
    assert sockets
    assert state == "active"


def test_check_mptcp_proves_both_uplinks(cli: Cli, lab: dict[str, Any]) -> None:
    verdict = cli.json_inside("check-mptcp")
    assert verdict["outcome"] == "proven"
    assert verdict["sentence"] == YAY
    assert {finding["way"] for finding in verdict["findings"]} == {"socks", "routed"}
    carried = {share["name"]: share["bytes_down"] for share in verdict["shares"]}
    assert set(carried) == {"wlp1s0", "wlan1"}
    assert min(carried.values()) > FILE_OCTETS // 10


def test_check_mptcp_is_not_proven_without_a_file(cli: Cli, lab: dict[str, Any]) -> None:
    done = cli.inside("env", "INVOKE_MPSOCKS_CHECK_BULK_URL=", "invoke", "check-mptcp")
    assert done.returncode == 2
    assert "not proven" in done.stdout


def test_check_mptcp_says_no_of_a_server_without_mptcp(cli: Cli, lab: dict[str, Any]) -> None:
    done = cli.invoke_inside("check-mptcp", "--page-url", "http://plain.test/")
    assert done.returncode == 1
    assert "disproved" in done.stdout


@pytest.mark.parametrize(
    ("url", "why"),
    [("http://mptcp.test:81/", "curl: "), ("http://nowhere.test/", "address of nowhere.test")],
    ids=["a server that is down", "a name that does not resolve"],
)
def test_check_mptcp_does_not_say_no_when_nothing_can_be_fetched(
    cli: Cli, lab: dict[str, Any], url: str, why: str
) -> None:
    options = ("--page-url", url, "--json")
    done = cli.inside("env", "INVOKE_MPSOCKS_CHECK_BULK_URL=", "invoke", "check-mptcp", *options)
    assert done.returncode == 2
    verdict = json.loads(done.stdout)
    assert {finding["outcome"] for finding in verdict["findings"]} == {"not proven"}
    assert why in verdict["findings"][0]["evidence"]


def test_dry_check_mptcp_fetches_nothing(cli: Cli, lab: dict[str, Any]) -> None:
    printed = succeeded(cli.inside("invoke", "--dry", "check-mptcp")).stdout
    assert f"ip -4 route add {WEB_SERVER}/32 via {lab['route']} table main" in printed
    assert f"-- {PAGE}" in printed
    assert [step for step in cli.json_inside("status")["steps"] if step["scope"].startswith("check")] == []


def test_curl_reaches_the_page_by_name_through_socks(cli: Cli, lab: dict[str, Any]) -> None:
    page = succeeded(cli.inside("curl", "-sS", "--socks5-hostname", lab["socks"], PAGE)).stdout
    assert page.strip() == YAY


@pytest.mark.parametrize(("host", "multipath", "words"), [("mptcp.test", True, YAY), ("plain.test", False, "Nay")])
def test_socks6_tells_truly_whether_the_far_leg_is_multipath(
    cli: Cli, lab: dict[str, Any], host: str, multipath: bool, words: str
) -> None:
    driver = ("python", "-m", "tests.lab_e2e.drivers.socks6_fetch", "10.66.6.2", host)
    came = json.loads(succeeded(cli.inside(*driver)).stdout)
    assert (came["code"], came["multipath"]) == ("SUCCEEDED", multipath)
    assert words in came["body"]


def test_wget_reaches_the_page_through_a_route(cli: Cli, lab: dict[str, Any]) -> None:
    route = (f"{WEB_SERVER}/32", "via", lab["route"])
    succeeded(cli.inside("ip", "route", "add", *route))
    try:
        assert succeeded(cli.inside("wget", "-q", "-O", "-", PAGE)).stdout.strip() == YAY
    finally:
        succeeded(cli.inside("ip", "route", "delete", *route))


def test_without_the_guest_the_page_says_no(cli: Cli, lab: dict[str, Any]) -> None:
    assert succeeded(cli.inside("curl", "-sS", PAGE)).stdout.startswith("Nay")


def test_a_second_lab_on_the_same_host_is_refused(cli: Cli, lab: dict[str, Any]) -> None:
    done = cli.invoke_inside("boot-socks", "--itf", "wlp1s0,wlan1")
    assert done.returncode == 1
    assert "already running" in done.stderr
    assert cli.json_inside("status")["guest_runs"]


def test_booting_another_guest_is_refused_and_leaves_the_first_alone(cli: Cli, lab: dict[str, Any]) -> None:
    done = cli.invoke_inside("boot-vm", "--taps", "1")
    assert done.returncode == 1
    assert "already running" in done.stderr
    assert cli.json_inside("status")["guest_runs"]


def test_a_base_image_says_how_to_get_dante(cli: Cli, lab: dict[str, Any]) -> None:
    done = cli.invoke_inside("run-socks", "--server", "dante")
    assert done.returncode == 1
    assert "install-vm-extra" in done.stderr


def test_ssh_vm_runs_a_command_in_the_guest(cli: Cli, lab: dict[str, Any]) -> None:
    assert succeeded(cli.invoke_inside("ssh-vm", "--command", "hostname")).stdout.strip() == "mpsocks"


def test_a_restored_guest_has_random_numbers_of_its_own(cli: Cli, lab: dict[str, Any]) -> None:
    """Two guests restored from one saved state would draw the same keys, if their kernels were not told."""
    log = succeeded(cli.invoke_inside("ssh-vm", "--command", "dmesg")).stdout
    assert "crng reseeded due to virtual machine fork" in log


def test_another_host_key_is_not_accepted(cli: Cli, lab: dict[str, Any], tmp_path: Path) -> None:
    """OpenSSH with our options and another machine's key in place of the guest's."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    kind, key = (tmp_path / "key.pub").read_text().split()[:2]
    (tmp_path / "known_hosts").write_text(f"10.66.6.2 {kind} {key}\n")
    printed = succeeded(cli.inside("invoke", "--dry", "ssh-vm", "--command", "true")).stdout.split()
    ours = next(word for word in printed if word.startswith("UserKnownHostsFile="))
    theirs = [f"UserKnownHostsFile={tmp_path / 'known_hosts'}" if word == ours else word for word in printed]
    done = cli.inside(*theirs)
    assert done.returncode != 0
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr


@pytest.mark.parametrize("lost", ["wlp1s0", "wlan1"])
def test_a_download_outlives_the_loss_of_an_uplink(cli: Cli, lab: dict[str, Any], lost: str) -> None:
    url = f"http://mptcp.test/bytes/{FILE_OCTETS}"
    argv = cli.on_lab_host("curl", "-sS", "--max-time", "120", "--socks5-hostname", lab["socks"], url)
    got, digest = 0, hashlib.sha256()
    with subprocess.Popen(argv, env=cli.environment, cwd=Path(__file__).parent, stdout=subprocess.PIPE) as curl:
        assert curl.stdout is not None
        try:
            while octets := curl.stdout.read(1 << 16):
                crossed = got < FILE_OCTETS // 4 <= got + len(octets)
                got += len(octets)
                digest.update(octets)
                if crossed:
                    succeeded(cli.inside("ip", "link", "set", "dev", lost, "down"))
        finally:
            curl.kill() if got < FILE_OCTETS else None
            restore_uplink(cli, lost)
    assert got == FILE_OCTETS
    assert digest.hexdigest() == Digests().of_first(FILE_OCTETS)


@pytest.mark.parametrize("lost", ["wlp1s0", "wlan1"])
def test_new_connections_begin_on_the_uplink_that_is_left(cli: Cli, lab: dict[str, Any], lost: str) -> None:
    """By address: the guest asks for names over its first uplink."""
    fetch = ("curl", "-sS", "--max-time", "60", "--socks5-hostname", lab["socks"], f"http://{WEB_SERVER}/")
    succeeded(cli.inside("ip", "link", "set", "dev", lost, "down"))
    try:
        pages = [cli.inside(*fetch) for _ in range(3)]
    finally:
        restore_uplink(cli, lost)
    assert [succeeded(page).stdout.strip() for page in pages] == [YAY] * 3
