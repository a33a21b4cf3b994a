"""What is written into the guest."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from images.recipe import ImageRecipe
from images.render import guest_files, listed, machine_id, pin_dante
from tests.images.conftest import CLIENT_KEY, PRIVATE_TEXT


@pytest.fixture
def files(recipe: ImageRecipe) -> dict[str, str]:
    return {file.path: file.text for file in guest_files(recipe)}


def test_each_interface_is_found_by_its_mac_and_comes_up_with_its_address(files: dict[str, str]) -> None:
    rules = files["/etc/udev/rules.d/70-mpsocks-links.rules"].replace("\\\n", "").splitlines()
    rule = next(line for line in rules if "52:54:00:66:06:01" in line)
    assert 'NAME="mptcp1"' in rule
    assert "address replace 10.66.7.2/24 dev mptcp1" in rule
    assert "link set mptcp1 up" in rule
    assert len([line for line in rules if line.startswith("ACTION")]) == 2


def test_sshd_takes_keys_only(files: dict[str, str]) -> None:
    settings = dict(line.split(" ", 1) for line in files["/etc/ssh/sshd_config.d/mpsocks.conf"].splitlines() if line)
    assert settings["PasswordAuthentication"] == "no"
    assert settings["KbdInteractiveAuthentication"] == "no"
    assert settings["PermitRootLogin"] == "prohibit-password"
    assert settings["HostKey"] == "/etc/ssh/ssh_host_ed25519_key"


def test_only_the_labs_client_may_log_in(recipe: ImageRecipe) -> None:
    (keys,) = (file for file in guest_files(recipe) if file.path == "/root/.ssh/authorized_keys")
    assert (keys.text, keys.mode) == (f"{CLIENT_KEY}\n", "0600")


def test_the_private_key_is_in_no_rendered_file(files: dict[str, str]) -> None:
    assert not [path for path, text in files.items() if PRIVATE_TEXT in text]


def test_templates_lose_their_suffix_and_their_marks(files: dict[str, str]) -> None:
    assert not [path for path in files if path.endswith(".j2")]
    assert not [path for path, text in files.items() if "{{" in text or "{%" in text]


def test_the_machine_id_is_fixed_so_that_no_boot_is_the_first(recipe: ImageRecipe, files: dict[str, str]) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}\n", files["/etc/machine-id"])
    assert machine_id(recipe) == machine_id(replace(recipe, suite="bookworm"))


def test_no_login_prompt_on_the_console_and_no_mask_on_what_is_needed() -> None:
    masked = listed("masked-units.txt")
    assert "serial-getty@ttyS0.service" in masked
    assert not {"ssh.service", "systemd-udevd.service", "systemd-udev-trigger.service"} & set(masked)
    assert all(re.fullmatch(r"[\w@.-]+\.(service|socket|target|timer|mount|automount|path)", unit) for unit in masked)


def test_one_package_only_comes_from_the_older_suite() -> None:
    stanzas = [dict(line.split(": ", 1) for line in text.splitlines()) for text in pin_dante().split("\n\n")]
    priorities = {stanza["Package"]: int(stanza["Pin-Priority"]) for stanza in stanzas}
    assert priorities["dante-server"] > 0 > priorities["*"]
