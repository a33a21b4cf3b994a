"""The emulated internet as a lab has it: journalled, and taken down with what was set up inside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.context import Lab
from lab.errors import MpsocksError
from lab.journal import Journal
from lab.runner import Runner
from lab.settings import EmulationSettings, Settings
from lab.steps import Tap
from lab.testbed import session
from lab.testbed.build import exec_prefix
from tests.conftest import lab_on
from tests.lab.testbed.inside import set_names

pytestmark = [pytest.mark.netns, pytest.mark.slow]


@pytest.fixture
def lab(here: Runner, tmp_path: Path) -> Iterator[Lab]:
    """A lab whose emulated internet is up."""
    settings = Settings(state=str(tmp_path), testbed=EmulationSettings(prefix=f"u{os.getpid()}"))
    made = lab_on(here, tmp_path, settings)
    session.testbed_up(made)
    yield made
    session.clean_everything(made)


def set_up_inside(lab: Lab) -> Journal:
    runner = lab.host.inside(*exec_prefix(session.lab_namespace(lab)))
    journal = Journal(session.inner_state(lab), runner)
    journal.apply(Tap("mptcp0", "10.66.6.1/24"), "tap:0")
    return journal


def test_a_command_runs_as_if_on_its_lab_host(lab: Lab) -> None:
    links = lab.host.read(*session.exec_argv(lab, ["ip", "-br", "link"]))
    assert "wlp1s0" in links
    assert "wlan1" in links


def test_down_takes_the_lab_inside_along(lab: Lab) -> None:
    inside = set_up_inside(lab)
    session.testbed_down(lab)
    assert inside.entries() == []
    assert not session.is_up(lab)
    assert not [name for name in set_names() if name.startswith(lab.settings.testbed.prefix)]


def test_what_could_not_be_taken_back_inside_is_not_forgotten(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = set_up_inside(lab)

    def fail(_step: Tap, _host: Runner) -> None:
        raise MpsocksError("not now")

    with monkeypatch.context() as patched:
        patched.setattr(Tap, "undo", fail)
        with pytest.raises(MpsocksError, match="could not be taken back"):
            session.clean_everything(lab)
    assert not session.is_up(lab)
    assert [entry.step.subject for entry in inside.entries()] == ["tap mptcp0"]
    assert session.clean_everything(lab) == 1
    assert inside.entries() == []


def test_without_one_there_is_nothing_to_run_a_command_in(here: Runner, tmp_path: Path) -> None:
    with pytest.raises(MpsocksError, match="no emulated internet"):
        session.exec_argv(lab_on(here, tmp_path, Settings(state=str(tmp_path))), ["true"])
