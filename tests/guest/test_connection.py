"""Nobody but the guest is ever talked to: its host key is known beforehand."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from guest.connection import FORWARDING_SSHD_PORT, guest, known_hosts_file, ssh_options
from lab.context import Lab
from lab.keys import lab_keys
from lab.runner import Runner
from tests.conftest import lab_on


@pytest.fixture
def lab(here: Runner, tmp_path: Path) -> Lab:
    return lab_on(here, tmp_path)


def test_ssh_itself_finds_the_pinned_key_for_both_ports(lab: Lab) -> None:
    path = known_hosts_file(lab)
    public = lab_keys(lab.cache, lab.host).host.public.split()[1]
    for name in ("10.66.6.2", f"[10.66.6.2]:{FORWARDING_SSHD_PORT}"):
        found = subprocess.run(["ssh-keygen", "-F", name, "-f", str(path)], capture_output=True, text=True, check=True)
        assert public in found.stdout
    assert subprocess.run(["ssh-keygen", "-F", "10.66.6.3", "-f", str(path)], check=False).returncode != 0


def test_a_key_that_was_there_before_does_not_stay(lab: Lab) -> None:
    path = known_hosts_file(lab)
    text = path.read_text()
    path.write_text("10.66.6.2 ssh-ed25519 AAAA\n")
    assert known_hosts_file(lab).read_text() == text


def test_ssh_understands_the_options_as_they_are_meant(lab: Lab) -> None:
    told = lab.host.read("ssh", "-G", *ssh_options(lab), "root@10.66.6.2")
    settings = dict(line.split(" ", 1) for line in told.splitlines() if " " in line)
    assert settings["stricthostkeychecking"] == "true"
    assert settings["userknownhostsfile"] == str(lab.state / "known_hosts")
    assert settings["identitiesonly"] == "yes"
    assert settings["batchmode"] == "yes"
    assert settings["identityfile"] == str(lab_keys(lab.cache, lab.host).client.private)


def test_a_dry_run_names_the_guest_and_connects_to_nobody(
    tmp_path: Path, dry: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    with guest(lab_on(dry, tmp_path)) as inside:
        inside.runner.change("uname", "-r")
        inside.write("/etc/motd", "hello\n")
        inside.put(Path("local"), "/remote")
    assert capsys.readouterr().out.splitlines() == [
        "# in the guest (root@10.66.6.2):",
        "uname -r",
        "tee /etc/motd <<'MPSOCKS_END'",
        "hello",
        "MPSOCKS_END",
        "scp local root@10.66.6.2:/remote",
    ]


def test_a_dry_run_pins_nothing(tmp_path: Path, dry: Runner) -> None:
    assert not known_hosts_file(lab_on(dry, tmp_path)).exists()
