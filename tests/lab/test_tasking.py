"""How a task begins and ends: signals, and a configuration that cannot be read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.config import Config
from invoke.context import Context

from lab.context import Lab
from lab.errors import BadInputError
from lab.settings import defaults
from lab.tasking import duration, lab_task

ROOT = Path(__file__).parent.parent.parent
ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    overrides = {"mpsocks": {"state": str(tmp_path / "state"), "cache": str(tmp_path / "cache")}}
    return Context(Config(defaults={**Config.global_defaults(), **defaults()}, overrides=overrides))


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """What is done on signals is as it was, afterwards."""
    before = {ending: signal.getsignal(ending) for ending in ENDINGS}
    yield
    for ending, handler in before.items():
        signal.signal(ending, handler)


class TestSignals:
    @pytest.mark.parametrize("ending", ENDINGS)
    def test_whoever_is_told_to_end_is_interrupted(self, context: Context, ending: signal.Signals) -> None:
        signal.signal(ending, signal.SIG_DFL)

        @lab_task(root=False)
        def told_to_end(_lab: Lab) -> None:
            os.kill(os.getpid(), ending)

        with pytest.raises(KeyboardInterrupt):
            told_to_end(context)

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_one_that_is_ignored_from_the_start_stays_ignored(self, context: Context, ending: signal.Signals) -> None:
        """As SIGHUP is under nohup(1)."""
        signal.signal(ending, signal.SIG_IGN)

        @lab_task(root=False)
        def told_to_end(_lab: Lab) -> str:
            os.kill(os.getpid(), ending)
            return "went on"

        assert told_to_end(context) == "went on"


@pytest.mark.slow
class TestConfiguration:
    """What Invoke cannot read, it raises outside of any task."""

    @staticmethod
    def invoke(*arguments: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *arguments]
        environment = {**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home), "XDG_CACHE_HOME": str(home)}
        return subprocess.run(
            command, cwd=home, env=environment | variables, capture_output=True, text=True, check=False, timeout=60
        )

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"mpsocks: {image: trixie}", "<class 'str'> ('trixie')"),
            (b"mpsocks:", "<class 'NoneType'> (None)"),
            (b"mpsocks: {guest: {memory: {a: 1}}}", "{'a': 1}"),
            (b"mpsocks: [a", "own.yaml"),
            (b"mpsocks: '\xe9'", "codec can't decode"),
            (b"- mpsocks", "'list' object"),
        ],
    )
    def test_a_file_of_the_wrong_form_is_told_with_where_to_look(
        self, tmp_path: Path, content: bytes, said: str
    ) -> None:
        (tmp_path / "own.yaml").write_bytes(content)
        ended = self.invoke("-f", "own.yaml", "status", home=tmp_path)
        assert ended.returncode != 0
        assert ended.stderr.startswith("error: the configuration cannot be read\n")
        assert said in ended.stderr
        assert "  do:   correct invoke.yaml" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_so_it_is_with_the_users_own_file(self, tmp_path: Path) -> None:
        (tmp_path / ".invoke.yaml").write_text("mpsocks: {guest: 5}\n")
        assert self.invoke("status", home=tmp_path).stderr.startswith("error: the configuration cannot be read\n")

    def test_a_variable_that_is_no_number_is_refused_by_its_setting(self, tmp_path: Path) -> None:
        ended = self.invoke("status", home=tmp_path, INVOKE_MPSOCKS_GUEST_MEMORY="abc")
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("error: mpsocks.guest.memory is 'abc'\n  do:   ")

    def test_a_defect_still_shows_its_traceback(self) -> None:
        script = "import lab.tasking; 1 / 0"
        ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
        assert "Traceback" in ended.stderr
        assert "ZeroDivisionError" in ended.stderr

    def test_a_cache_that_cannot_be_made_is_told_with_the_setting(self, tmp_path: Path) -> None:
        ended = self.invoke("build-image", home=tmp_path, XDG_CACHE_HOME="/proc/x")
        assert ended.returncode == 1
        assert ended.stderr.startswith("error: the folder /proc/x/mpsocks/")
        assert "XDG_CACHE_HOME" in ended.stderr


class TestDurations:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("30s", 30), ("2m", 120), ("1.5h", 5400), ("500ms", 0.5), ("7", 7), ("0.25", 0.25), (" 3 s ", 3), ("0s", 0)],
    )
    def test_they_are_seconds(self, text: str, seconds: float) -> None:
        assert duration(text, "--for") == seconds

    @pytest.mark.parametrize(
        "text", ["", "s", "-1s", "1d", "1m30s", "1e3s", "nan", "inf", "٣s", ".5s", "1.s", "30 seconds"]
    )
    def test_anything_else_is_refused_with_an_example(self, text: str) -> None:
        with pytest.raises(BadInputError, match="--for is ") as refused:
            duration(text, "--for")
        assert "30s" in refused.value.hint
