"""Captures that are interrupted, and those whose task is killed: nothing is lost, and nothing goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab.context import Lab
from lab.runner import Runner
from lab.standing import status
from lab.testbed.session import clean_everything
from tests.conftest import lab_on, namespace_name
from tests.invoking import ROOT
from tests.lab.host_state import wait_until
from tests.lab.testbed.inside import open_socket, processes
from tests.traces.capturing.wireshark import frames
from tests.traces.reading.rows import read_segments

pytestmark = [pytest.mark.netns, pytest.mark.slow]

PORT = 7010


@pytest.fixture
def lab(netns: Runner, tmp_path: Path) -> Lab:
    return lab_on(netns, tmp_path)


class Task:
    """`invoke capture` on loopback, in a process of its own."""

    def __init__(self, lab: Lab, folder: Path, *options: str) -> None:
        self.folder = folder
        self.namespace = namespace_name(lab.host)
        self.errors = folder.parent / "errors"
        capture = ("capture", "--itf", "lo", "--filter", f"tcp port {PORT}", "--out", str(folder), *options)
        inside = ("ip", "netns", "exec", self.namespace)
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*inside, sys.executable, "-m", "invoke", "--search-root", str(ROOT), *capture],
                env={**os.environ, "INVOKE_MPSOCKS_STATE": str(lab.state), "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def wait_until_it_says(self, words: str) -> None:
        wait_until(lambda: words in self.said, f"it does not say {words!r}")

    @property
    def said(self) -> str:
        return self.errors.read_text()

    def knock(self) -> None:
        """A SYN that is refused with a RST."""
        with closing(open_socket(self.namespace, socket.AF_INET, socket.SOCK_STREAM)) as stream:
            assert stream.connect_ex(("127.0.0.1", PORT)) != 0


@pytest.fixture
def waiting(lab: Lab, tmp_path: Path) -> Iterator[Task]:
    """A capture without a command or a time, which has seen two packets."""
    task = Task(lab, tmp_path / "run", "--json")
    with task.process:
        task.wait_until_it_says("^C ends the capture")
        task.knock()
        yield task
        task.process.kill()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_capture_is_whole(waiting: Task, sign: signal.Signals) -> None:
    waiting.process.send_signal(sign)
    out, _ = waiting.process.communicate()
    assert waiting.process.returncode == 0, waiting.said
    report = json.loads(out)
    assert report["ended_by"] == "interrupt"
    assert len(frames(Path(report["file"]), "frame.number")) == 2
    assert not processes(waiting.namespace)


def test_a_command_is_interrupted_with_the_capture(lab: Lab, tmp_path: Path) -> None:
    task = Task(lab, tmp_path / "run", "--json", "--", "sh", "-c", "trap 'exit 7' INT; echo here; sleep 600 & wait")
    with task.process:
        task.wait_until_it_says("here")
        task.knock()
        task.process.send_signal(signal.SIGINT)
        out, _ = task.process.communicate()
    assert task.process.returncode == 7, task.said
    assert json.loads(out)["exit_code"] == 7
    assert len(frames(task.folder / "capture.pcapng", "frame.number")) == 2
    assert not processes(task.namespace)


def test_status_shows_a_capture_and_clean_ends_that_of_a_killed_task(lab: Lab, waiting: Task) -> None:
    [shown] = status(lab).steps
    assert (shown.scope, shown.stands) == (f"capture:{waiting.process.pid}", True)
    assert shown.subject == f"capture on lo to {waiting.folder}/lo.pcap"
    waiting.process.send_signal(signal.SIGKILL)
    waiting.process.wait()
    assert len(processes(waiting.namespace)) == 1
    assert clean_everything(lab) == 1
    assert not processes(waiting.namespace)
    assert len(list(read_segments(waiting.folder / "lo.pcap"))) == 2


def test_a_capture_that_clean_has_ended_says_so(lab: Lab, waiting: Task) -> None:
    assert clean_everything(lab) == 1
    out, _ = waiting.process.communicate()
    assert waiting.process.returncode == 1
    report = json.loads(out)
    assert report["ended_by"] == "lost"
    assert report["warnings"] == ["lo: the capture ended before its time"]
    assert len(frames(Path(report["file"]), "frame.number")) == 2


def test_a_failure_of_ours_is_no_exit_code_of_a_command(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "capture.pcapng").touch()
    task = Task(lab, tmp_path / "run", "--json", "--", "true")
    with task.process:
        out, _ = task.process.communicate()
    assert task.process.returncode == 125
    assert "is there already" in json.loads(out)["error"]["what"]
