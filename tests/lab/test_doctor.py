"""The doctor: what is missing is named, with the command that mends it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lab.doctor import PACKAGES, Finding, doctor_lines, examine
from lab.runner import Runner
from lab.settings import Settings
from tests.conftest import lab_on

MOCK = "test:///default"


def findings(here: Runner, folder: Path, uri: str = MOCK) -> dict[str, Finding]:
    settings = Settings(uri=uri, state=str(folder / "state"), cache=str(folder / "cache"))
    found = examine(lab_on(here, folder, settings))
    assert len({finding.subject for finding in found}) == len(found)
    return {finding.subject: finding for finding in found}


def listed_packages() -> dict[str, str]:
    lines = (line.split("#")[0].split() for line in PACKAGES.read_text().splitlines())
    return dict(line for line in lines if line)


class TestPackages:
    def test_every_listed_one_is_looked_for(self, here: Runner, tmp_path: Path) -> None:
        found = findings(here, tmp_path)
        assert [subject for subject in found if subject.startswith("package ")] == [
            f"package {name}" for name in listed_packages()
        ]

    def test_on_an_empty_path_every_program_is_missing_with_its_package(
        self, here: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        found = findings(here, tmp_path)
        programs = [name for name, brings in listed_packages().items() if not brings.startswith("/")]
        assert "nftables" in programs
        for name in programs:
            finding = found[f"package {name}"]
            assert not finding.ok
            assert finding.remedy == f"apt-get install --no-install-recommends {name}"

    def test_one_that_comes_is_seen(self, here: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program = tmp_path / "curl"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        found = findings(here, tmp_path)
        assert found["package curl"].ok
        assert not found["package nftables"].ok

    def test_what_is_there_is_told_from_what_is_not(self, here: Runner, tmp_path: Path) -> None:
        found = findings(here, tmp_path)
        for name, brings in listed_packages().items():
            there = Path(brings).exists() if brings.startswith("/") else bool(shutil.which(brings))
            assert found[f"package {name}"].ok == there


@pytest.mark.netns
def test_a_machine_on_which_these_tests_run_has_what_namespaces_need(here: Runner, tmp_path: Path) -> None:
    found = findings(here, tmp_path)
    assert found["root"].ok == (os.geteuid() == 0)
    for feature in ("tun", "network namespaces", "nftables with NAT", "policy routing"):
        assert found[f"kernel: {feature}"].ok


@pytest.mark.netns
class TestFirewall:
    SUBJECT = "firewall lets forwarded packets through"

    @staticmethod
    def with_policy(netns: Runner, policy: str) -> None:
        chain = f"type filter hook forward priority 0; policy {policy};"
        netns.change("nft", "-f", "-", stdin=f"table inet theirs {{ chain passing {{ {chain} }}; }}")

    def test_one_that_drops_by_default_is_told_with_its_remedy(self, netns: Runner, tmp_path: Path) -> None:
        self.with_policy(netns, "drop")
        finding = findings(netns, tmp_path)[self.SUBJECT]
        assert not finding.ok
        netns.change("sh", "-c", finding.remedy)
        rules = netns.read("nft", "list", "chain", "inet", "theirs", "passing")
        assert 'iifname "mptcp*" accept' in rules
        assert 'oifname "mptcp*" ct state established,related accept' in rules

    def test_one_that_accepts_is_none_of_our_business(self, netns: Runner, tmp_path: Path) -> None:
        self.with_policy(netns, "accept")
        assert findings(netns, tmp_path)[self.SUBJECT].ok


def test_libvirt_is_asked_and_what_it_says_is_passed_on(here: Runner, tmp_path: Path) -> None:
    assert findings(here, tmp_path)["libvirt"].ok
    missing = findings(here, tmp_path, "nosuch:///system")["libvirt"]
    assert not missing.ok
    assert missing.detail


class TestLines:
    def test_a_machine_that_lacks_nothing_is_told_so(self) -> None:
        assert doctor_lines([Finding("curl", True)]) == ["✓ curl", "", "this machine has all that is needed"]

    def test_what_is_needed_comes_last_with_its_remedy(self) -> None:
        lines = doctor_lines([Finding("curl", False, "fetches", "install it"), Finding("root", True)])
        assert lines == ["✗ curl (fetches)", "✓ root", "", "to do:", "curl: install it"]

    def test_what_only_would_be_nice_is_told_apart(self) -> None:
        lines = doctor_lines([Finding("KVM", False, "slower", "buy it", needed=False)])
        assert lines[:3] == ["- KVM (slower)", "", "this machine has all that is needed"]
        assert lines[3:] == ["", "of use, not needed:", "KVM: buy it"]
