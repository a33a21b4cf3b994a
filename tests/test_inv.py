"""`inv`, in a copy of the project that is set up already: where it runs, and what it hands on."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INPUTS = ("inv", ".packages", ".requirements.lock")
# As sudo does: nothing of the caller's environment but what is named, then the command.
SUDO = f"""\
#!{sys.executable}
import os, sys
option, *command = sys.argv[1:]
kept = option.removeprefix("--preserve-env=").split(",")
os.execvpe(command[0], command, {{name: value for name, value in os.environ.items() if name in {{"PATH", *kept}}}})
"""


@dataclass(frozen=True)
class Project:
    """A checkout, called from a folder of the user's own; `programs` come first in the caller's path."""

    folder: Path
    elsewhere: Path
    programs: Path

    def inv(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "HOME": str(self.elsewhere),
            "PATH": f"{self.programs}:/usr/sbin:/usr/bin:/sbin:/bin",
            **variables,
        }
        return subprocess.run(
            [self.folder / "inv", *arguments],
            cwd=self.elsewhere, env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "a checkout", tmp_path / "elsewhere", tmp_path / "programs")
    for folder in (made.folder / ".venv", made.elsewhere, made.programs):
        folder.mkdir(parents=True)
    for path in ROOT.iterdir():
        if path.name not in {".venv", ".git", "invoke.yaml"}:
            (made.folder / path.name).symlink_to(path)
    # A link would lead `inv` back to the project itself.
    (made.folder / "inv").unlink()
    (made.folder / "inv").write_bytes((ROOT / "inv").read_bytes())
    (made.folder / "inv").chmod(0o755)
    (made.folder / ".venv/bin").symlink_to(Path(sys.executable).parent)
    content = b"".join((made.folder / name).read_bytes() for name in INPUTS)
    summed = subprocess.run(["cksum"], input=content, capture_output=True, check=True)
    (made.folder / ".venv/.set-up").write_bytes(summed.stdout)
    return made


@pytest.fixture
def ordinary_user(project: Project) -> None:
    project.program("id", "#!/bin/sh\necho 1000\n")
    project.program("sudo", SUDO)


@pytest.mark.slow
class TestFromAnyFolder:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ((), "--search-root"),
            (("--version",), "Invoke "),
            (("--list",), "build-kernel"),
            (("--help", "build-kernel"), "Build the guest's MPTCP kernel"),
        ],
    )
    def test_invokes_own_options_work(self, project: Project, arguments: tuple[str, ...], said: str) -> None:
        done = project.inv(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert said in done.stdout

    def test_files_are_those_of_the_callers_folder(self, project: Project) -> None:
        (project.elsewhere / "my.config").write_text("no setting\n")
        done = project.inv("--dry", "build-kernel", "--fragment", "my.config")
        assert "my.config:1: 'no setting' is not a kernel setting" in done.stderr

    def test_the_projects_configuration_is_found(self, project: Project) -> None:
        (project.folder / "invoke.yaml").write_text("mpsocks: {guest: {memry: 1}}\n")
        assert "did you mean mpsocks.guest.memory?" in project.inv("doctor").stderr


@pytest.mark.usefixtures("ordinary_user")
@pytest.mark.slow
class TestThroughSudo:
    VARIABLES = {
        "http_proxy": "http://proxy.example:3128",
        "HTTPS_PROXY": "http://proxy.example:3129",
        "no_proxy": "localhost",
        "XDG_CACHE_HOME": "/var/one",
        "INVOKE_MPSOCKS_GUEST_MEMORY": "1024",
    }

    def test_proxies_and_settings_come_through_and_nothing_else(self, project: Project) -> None:
        # In place of invoke: what it is given.
        binaries = project.folder / ".venv/bin"
        binaries.unlink()
        binaries.mkdir()
        (binaries / "invoke").write_text('#!/bin/sh\necho "$@"\nexec env\n')
        (binaries / "invoke").chmod(0o755)
        lines = project.inv("demo", **self.VARIABLES, SECRET="1").stdout.splitlines()
        assert lines[0] == f"--search-root {project.folder} demo"
        assert {f"{name}={value}" for name, value in self.VARIABLES.items()} <= set(lines)
        assert not [line for line in lines if "SECRET" in line]

    def test_invoke_runs(self, project: Project) -> None:
        assert "build-kernel" in project.inv("--list").stdout
