"""`mpsocks user`, as a person and as a script use it."""

from __future__ import annotations

import argparse
import errno
import fcntl
import io
import os
import subprocess
import sys
from pathlib import Path
from select import select
from time import monotonic, sleep

import pytest

from proxy import user_command
from proxy.users import Hash, Users
from tests.proxy.running import PATIENCE, ROOT

PROGRAM = """
import argparse, sys
from proxy import user_command
parser = argparse.ArgumentParser(prog="mpsocks")
user_command.add_parser(parser.add_subparsers(required=True))
given = parser.parse_args()
sys.exit(given.run(given))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


class Run:
    """Runs the command in this process, with octets on its standard input."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> int:
        self._monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        parser = argparse.ArgumentParser()
        user_command.add_parser(parser.add_subparsers(required=True))
        given = parser.parse_args(["user", *map(str, arguments)])
        code: int = given.run(given)
        self.out, self.err = self._capsys.readouterr()
        return code


def started(*arguments: str | Path, stdin: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """The command as its own process, without a controlling terminal."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "user", *arguments],
        cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def test_users_are_added_listed_and_removed(run: Run, path: Path) -> None:
    assert run("add", path, "alice", stdin=b"one\n") == 0
    assert run.out == "alice: added\n"
    assert run("add", path, "zoë", stdin=b"two") == 0
    assert run("list", path) == 0
    assert run.out == "alice\nzoë\n"
    users = Users.load(path)
    assert users.check(b"alice", b"one")
    assert users.check("zoë".encode(), b"two")
    assert run("remove", path, "alice") == 0
    assert run.out == "alice: removed\n"
    assert run("list", path) == 0
    assert run.out == "zoë\n"


def test_a_new_file_is_its_owners_alone_and_says_what_it_is(run: Run, path: Path) -> None:
    before = os.umask(0)
    try:
        run("add", path, "alice", stdin=b"one\n")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o7777 == 0o600
    assert path.read_text().startswith("# Users of mpsocks")
    assert b"one" not in path.read_bytes()


def test_a_user_who_is_there_gets_another_password_in_the_same_place(run: Run, path: Path) -> None:
    for name in ("alice", "al", "bob"):
        run("add", path, name, stdin=b"one\n")
    path.write_text("# staff\n" + path.read_text() + "# the end")
    assert run("add", path, "al", stdin=b"two\r\n") == 0
    assert run.out == "al: has a new password\n"
    names = [line.partition(":")[0] for line in path.read_text().splitlines()]
    assert names == ["# staff", "# Users of mpsocks", "alice", "al", "bob", "# the end"]
    users = Users.load(path)
    assert users.check(b"al", b"two")
    assert not users.check(b"al", b"one")
    assert users.check(b"alice", b"one")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_owner_group_and_mode_of_a_file_stay(run: Run, path: Path) -> None:
    run("add", path, "alice", stdin=b"one\n")
    os.chown(path, 4321, 1234)
    path.chmod(0o640)
    run("add", path, "bob", stdin=b"two\n")
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (4321, 1234, 0o640)


def test_a_link_to_the_file_stays_one(run: Run, path: Path, tmp_path: Path) -> None:
    run("add", path, "alice", stdin=b"one\n")
    (tmp_path / "link").symlink_to(path)
    assert run("remove", tmp_path / "link", "alice") == 0
    assert (tmp_path / "link").is_symlink()
    run("list", path)
    assert run.out == ""


@pytest.mark.parametrize(
    ("name", "stdin", "told"),
    [
        ("a:b", b"one\n", "a name has no colon"),
        ("alice", b"", "1 to 255 octets"),
        ("alice", b"\n", "1 to 255 octets"),
        ("alice", b"p" * 256, "1 to 255 octets"),
    ],
)
def test_what_cannot_be_a_user_is_refused(run: Run, path: Path, name: str, stdin: bytes, told: str) -> None:
    assert run("add", path, name, stdin=stdin) == 1
    assert told in run.err
    assert not path.exists()


def test_what_is_not_there_is_told(run: Run, path: Path) -> None:
    assert run("remove", path, "alice") == 1
    assert run.err == f"mpsocks user: cannot read {path}: No such file or directory\n"
    assert not path.exists()
    assert run("list", path) == 1
    assert run("add", path / "users", "alice", stdin=b"one\n") == 1
    assert "No such file or directory" in run.err
    run("add", path, "alice", stdin=b"one\n")
    assert run("remove", path, "bob") == 1
    assert run.err == f"mpsocks user: {path} has no user 'bob'\n"


@pytest.mark.parametrize("action", ["add", "remove"])
def test_a_file_with_a_mistake_is_left_alone(run: Run, path: Path, action: str) -> None:
    path.write_text("alice:secret\n")
    path.chmod(0o600)
    assert run(action, path, "alice", stdin=b"one\n") == 1
    assert f"{path}, line 1: right is" in run.err
    assert path.read_text() == "alice:secret\n"


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("add", path, "alice", stdin=b"one\n")
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    assert run("add", path, "bob", stdin=b"two\n") == 1
    assert "No space left on device" in run.err
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_changes_take_turns(path: Path) -> None:
    """Bob is added while another change, of which he must know nothing, is under way."""
    folder = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    process = started("add", path, "bob")
    assert process.stdin is not None
    process.stdin.write(b"two\n")
    process.stdin.flush()
    until = monotonic() + PATIENCE
    while f"-> FLOCK  ADVISORY  WRITE {process.pid} " not in Path("/proc/locks").read_text():
        assert process.poll() is None, "it has not waited"
        assert monotonic() < until
        sleep(0.01)
    path.write_text(f"alice:{Hash.of(b'one')}\n")
    path.chmod(0o600)
    os.close(folder)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, b"")
    users = Users.load(path)
    assert users.check(b"alice", b"one")
    assert users.check(b"bob", b"two")


class TestAtATerminal:
    def typed(self, path: Path, *passwords: bytes) -> tuple[int, bytes]:
        """What comes of typing these as they are asked for: the exit code, and what the terminal shows after all."""
        terminal, end = os.openpty()
        process = started("add", path, "alice", stdin=end)
        assert process.stderr is not None
        shown = b""
        try:
            for password in passwords:
                while not shown.endswith(b": "):
                    # Until the question is there, what is typed is thrown away.
                    shown += (octet := process.stderr.read(1))
                    assert octet, shown
                shown += b"?"
                os.write(terminal, password + b"\n")
            shown += process.communicate(timeout=PATIENCE)[1]
            assert select([terminal], [], [], 0)[0] == [], "the terminal has shown what was typed"
            return process.returncode, shown
        finally:
            process.kill()
            process.wait()
            os.close(terminal)
            os.close(end)

    def test_a_password_is_asked_for_twice_and_not_shown(self, path: Path) -> None:
        assert self.typed(path, b"one", b"one") == (0, b"Password: ?\nAgain: ?\n")
        assert Users.load(path).check(b"alice", b"one")

    def test_two_different_ones_change_nothing(self, path: Path) -> None:
        code, shown = self.typed(path, b"one", b"two")
        assert code == 1
        assert b"two different passwords" in shown
        assert not path.exists()
