"""What the tasks need of the test runner, without pytest."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.run import NO_TESTS_COLLECTED, ROOT


@pytest.mark.slow
def test_no_task_but_test_waits_for_pytest() -> None:
    script = "import sys, tasks; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_the_exit_code_is_pytests_own() -> None:
    assert NO_TESTS_COLLECTED == pytest.ExitCode.NO_TESTS_COLLECTED
