"""Tasks that change a lab wait for each other."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lab.runner import Runner
from tests.conftest import lab_on
from tests.lab.host_state import wait_until


def test_a_second_task_says_that_it_waits_and_goes_on_after_the_first(
    here: Runner, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    order: list[str] = []
    said: list[str] = []

    def second() -> None:
        with lab_on(here, tmp_path).exclusive():
            order.append("second")

    def told() -> bool:
        said.append(capfd.readouterr().err)
        return "another task is at work" in "".join(said)

    thread = threading.Thread(target=second)
    with lab_on(here, tmp_path).exclusive():
        thread.start()
        wait_until(told, "the second task did not say that it waits")
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_task_that_failed_keeps_nobody_waiting(here: Runner, tmp_path: Path) -> None:
    lab = lab_on(here, tmp_path)
    with pytest.raises(KeyboardInterrupt), lab.exclusive():
        raise KeyboardInterrupt
    with lab.exclusive():
        assert (lab.state / "task.lock").exists()
