"""KVM is tried once for a kernel, and the answer is remembered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernel.build import Kernel
from lab.acceleration import choose_acceleration
from lab.context import Lab
from lab.domain import Accel
from lab.runner import Runner
from lab.settings import GuestSettings, Settings
from tests.conftest import lab_on

# libvirt's test driver starts every domain and runs none: a kernel under it never gets anywhere.
MOCK = "test:///default"


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    (tmp_path / "bzImage").write_bytes(b"kernel")
    return Kernel(image=tmp_path / "bzImage", release="6.12", key="k1")


def lab_with(here: Runner, folder: Path, accel: str = "auto", uri: str = MOCK) -> Lab:
    settings = Settings(
        guest=GuestSettings(accel=accel), uri=uri, state=str(folder / "state"), cache=str(folder / "cache")
    )
    return lab_on(here, folder, settings)


def answers(lab: Lab) -> list[Path]:
    return list((lab.cache.root / "acceleration").glob("*.json"))


@pytest.mark.parametrize("accel", ["kvm", "tcg"])
def test_what_is_configured_is_not_tried(here: Runner, tmp_path: Path, kernel: Kernel, accel: str) -> None:
    lab = lab_with(here, tmp_path, accel)
    assert choose_acceleration(lab, kernel) == Accel(accel)
    assert answers(lab) == []


def test_a_kernel_that_gets_nowhere_under_kvm_runs_under_tcg_from_then_on(
    here: Runner,
    tmp_path: Path,
    kernel: Kernel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("lab.acceleration.TRIAL_SECONDS", 0.1)
    lab = lab_with(here, tmp_path)
    assert choose_acceleration(lab, kernel) is Accel.TCG
    assert "using TCG, which is slower" in capsys.readouterr().err
    assert lab.journal.entries() == []
    assert choose_acceleration(lab, kernel) is Accel.TCG
    assert capsys.readouterr().err == ""


def test_the_remembered_answer_holds_for_that_kernel_alone(
    here: Runner, tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.acceleration.TRIAL_SECONDS", 0.1)
    lab = lab_with(here, tmp_path)
    choose_acceleration(lab, kernel)
    (answer,) = answers(lab)
    answer.write_text(json.dumps({"accel": "kvm"}))
    assert choose_acceleration(lab, kernel) is Accel.KVM
    other = Kernel(image=kernel.image, release=kernel.release, key="k2")
    assert choose_acceleration(lab, other) is Accel.TCG


def test_without_the_device_nothing_is_tried(
    here: Runner, tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.acceleration.KVM", tmp_path / "no kvm")
    lab = lab_with(here, tmp_path, uri="qemu:///system")
    assert choose_acceleration(lab, kernel) is Accel.TCG
    assert answers(lab) == []
