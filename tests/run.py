"""`invoke test`: builds what the tests need, then runs pytest, first what needs no guest."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from lab.context import Lab
from lab.parts import guest_image, guest_kernel

ROOT = Path(__file__).parent.parent
# pytest.ExitCode.NO_TESTS_COLLECTED: every task imports this module, and none of the others should wait for pytest.
NO_TESTS_COLLECTED = 5
# Tests without a guest wait more than they work: four at once suit two processors. What failed last time goes first,
# and the rest in the order of tests/conftest.py, not by how many tests a file has.
WITHOUT_GUEST = (
    "-q", "-n", "4", "--dist", "loadscope", "--no-loadscope-reorder", "--failed-first", "-p", "no:benchmark",
)  # fmt: skip
FAST = "not vm and not slow"
CODEC = "tests/codec"
FEW_EXAMPLES = ("--hypothesis-profile=fast",)
"""The profile is made in conftest.py."""
# The codec's own tests must reach every line and every branch of it. Nothing else is measured: it takes time.
MEASURED = ("--cov=codec", "--cov-report=term-missing:skip-covered", "--cov-fail-under=100")
# Those with a guest wait, too. Two at once have an emulated internet each; the tests of a file may share a lab.
WITH_GUEST = (
    "-m", "vm", "-v", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-p", "no:benchmark",
)  # fmt: skip


def run_tests(lab: Lab, *, fast: bool, only: str) -> int:
    """Run the tests (with `fast`, those that need no guest; with `only`, those that match) and return an exit code."""
    chosen = ("-k", only) if only else ()
    if fast:
        return _pytest(lab, "-m", FAST, *WITHOUT_GUEST, *FEW_EXAMPLES, *chosen)
    codec_only = () if only else MEASURED
    codes = [
        _pytest(lab, CODEC, "-m", "not vm", *WITHOUT_GUEST, *codec_only, *chosen),
        _pytest(lab, f"--ignore={CODEC}", "-m", "not vm", *WITHOUT_GUEST, *chosen),
    ]
    guest_image(lab)
    guest_image(lab, extra=True)
    guest_kernel(lab)
    codes.append(_pytest(lab, *WITH_GUEST, *chosen))
    ran = [code for code in codes if not (only and code == NO_TESTS_COLLECTED)]
    return max(ran, default=NO_TESTS_COLLECTED)


def _pytest(lab: Lab, *arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    if lab.host.dry:
        print(shlex.join(command))
        return 0
    return subprocess.run(command, cwd=ROOT, check=False).returncode
