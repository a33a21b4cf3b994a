"""`invoke test`: builds what the tests need, then runs pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab.context import Lab
from lab.parts import guest_image, guest_kernel

ROOT = Path(__file__).parent.parent


def run_tests(lab: Lab, *, fast: bool, only: str) -> int:
    """Run the tests (with `fast`, those that need no guest) and return pytest's exit code."""
    arguments = ["-m", "not vm"] if fast else []
    if only:
        arguments += ["-k", only]
    if not fast:
        guest_image(lab)
        guest_image(lab, extra=True)
        guest_kernel(lab)
    command = [sys.executable, "-m", "pytest", *arguments]
    if lab.host.dry:
        print(" ".join(command))
        return 0
    return subprocess.run(command, cwd=ROOT, check=False).returncode
