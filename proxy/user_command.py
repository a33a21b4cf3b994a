"""`mpsocks user`: keeps the users file. A password is never an argument, which everybody on the host could read."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from getpass import getpass
from pathlib import Path
from tempfile import NamedTemporaryFile

from proxy.options import StartError
from proxy.users import LONGEST_FIELD, Hash, check_name, parse, read

HEADER = "# Users of mpsocks: name:scrypt:N:r:p:salt:hash\n"
EPILOG = """A running proxy reads the file again on SIGHUP.

examples:
  mpsocks user add /etc/mpsocks/users alice
  pass show proxy/alice | mpsocks user add /etc/mpsocks/users alice
  mpsocks user remove /etc/mpsocks/users alice
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `user` to the commands. What is given then has `run`, which takes it and returns the exit code."""
    parser = commands.add_parser(
        "user",
        help="add, remove and list the users of a file",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="add|remove|list", required=True)
    for run, text in (
        (add, "add a user, or change the password of one; asks for it, or reads a line from standard input"),
        (remove, "remove a user"),
        (show, "list the names"),
    ):
        action = actions.add_parser("list" if run is show else run.__name__, help=text, description=text)
        action.add_argument("file", metavar="FILE", type=Path, help="the users file")
        if run is not show:
            action.add_argument("name", metavar="NAME", help="the user")
        action.set_defaults(run=_telling(run))


def add(given: argparse.Namespace) -> None:
    """Add a user, or give one another password. Raises StartError, ValueError, OSError."""
    check_name(given.name)
    line = f"{given.name}:{Hash.of(_password())}"
    with _changing(given.file, create=True) as lines:
        there = _place(lines, given.name)
        if there is None:
            lines.append(line)
        else:
            lines[there] = line
    print(f"{given.name}: {'added' if there is None else 'has a new password'}")


def remove(given: argparse.Namespace) -> None:
    """Remove a user. Raises StartError, ValueError, OSError."""
    with _changing(given.file, create=False) as lines:
        there = _place(lines, given.name)
        if there is None:
            raise ValueError(f"{given.file} has no user {given.name!r}")
        del lines[there]
    print(f"{given.name}: removed")


def show(given: argparse.Namespace) -> None:
    """Print the names. Raises StartError."""
    for name in parse(read(given.file), given.file):
        print(name.decode())


def _telling(run: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], int]:
    """An exit code, and a message on standard error, instead of an exception."""

    def told(given: argparse.Namespace) -> int:
        try:
            run(given)
        except (StartError, ValueError, OSError) as error:
            print(f"mpsocks user: {error}", file=sys.stderr)
            return 1
        return 0

    return told


def _password() -> bytes:
    """From the terminal, twice; or one line of standard input. Raises ValueError."""
    if sys.stdin.isatty():
        password, again = (getpass(prompt).encode(errors="surrogateescape") for prompt in ("Password: ", "Again: "))
        if password != again:
            raise ValueError("these are two different passwords; nothing is changed")
    else:
        password = sys.stdin.buffer.readline().removesuffix(b"\n").removesuffix(b"\r")
    if not 0 < len(password) <= LONGEST_FIELD:
        raise ValueError(f"a password has 1 to {LONGEST_FIELD} octets; nothing is changed")
    return password


def _place(lines: list[str], name: str) -> int | None:
    return next((place for place, line in enumerate(lines) if line.startswith(f"{name}:")), None)


@contextmanager
def _changing(path: Path, *, create: bool) -> Iterator[list[str]]:
    """The lines of a file, which is replaced as a whole by what the block makes of them, unless it raises.

    Comments, owner and mode stay as they are; a new file is its owner's alone. Changes at the same time take turns.
    """
    path = path.resolve()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flock(folder, LOCK_EX)
        there = path.exists()
        text = HEADER if create and not there else read(path)
        parse(text, path)
        lines = text.removesuffix("\n").split("\n")
        yield lines
        _replace(path, "".join(f"{line}\n" for line in lines), like=path.stat() if there else None)
        os.fsync(folder)
    finally:
        os.close(folder)


def _replace(path: Path, text: str, like: os.stat_result | None) -> None:
    """Whoever reads the file meanwhile, or after a power cut, finds the old text or the new one."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            if like is not None:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), like.st_mode & 0o7777)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
