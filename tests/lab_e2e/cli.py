"""Running the project's own command line, as a person would, outside and inside the emulated internet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
LONGEST_COMMAND = 600


@dataclass(frozen=True, slots=True)
class Cli:
    """The command line with a state folder and a testbed of the test's own."""

    state_home: Path
    prefix: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "XDG_STATE_HOME": str(self.state_home),
            "INVOKE_MPSOCKS_TESTBED_PREFIX": self.prefix,
        }

    def invoke(self, *task: str) -> subprocess.CompletedProcess[str]:
        """Run a task on this machine; its exit code is the caller's to judge."""
        return _run(("invoke", *task), self.environment)

    def on_lab_host(self, *argv: str) -> list[str]:
        """The argv that runs a command on the emulated lab host."""
        return ["invoke", "testbed-exec", "--", *argv]

    def inside(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the emulated lab host, as `testbed-exec` would."""
        return _run(("ip", "netns", "exec", f"{self.prefix}-lab", *argv), _environment_inside(self))

    @property
    def inner_state(self) -> Path:
        """The state folder of the lab on the emulated lab host."""
        return self.state_home / "mpsocks" / "testbed" / "lab"

    def invoke_inside(self, *task: str) -> subprocess.CompletedProcess[str]:
        """Run a task on the emulated lab host."""
        return self.inside("invoke", *task)

    def json_inside(self, *task: str) -> Any:
        """What a task on the emulated lab host reports."""
        return json.loads(succeeded(self.invoke_inside(*task, "--json")).stdout)


def _run(argv: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=LONGEST_COMMAND, check=False,
    )  # fmt: skip


@cache
def _environment_inside(cli: Cli) -> dict[str, str]:
    """What `testbed-exec` tells a command: asked once, since a task takes most of a second to begin."""
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    told: dict[str, str] = json.loads(succeeded(cli.invoke("testbed-exec", "--", "python", "-c", show)).stdout)
    return told


def succeeded(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The finished command, which must have ended well."""
    assert done.returncode == 0, f"{done.args} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done
