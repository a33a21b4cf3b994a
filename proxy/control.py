"""The socket at which a worker tells of its live connections, for `mpsocks top`.

A folder of its owner's alone (0700) has a socket for each worker (0600), named by its process ID. Who connects is sent
a JSON object for each connection, one a line, some of them each turn of the loop: nobody who asks, however many
connections there are and however slowly they are read, holds up the loop.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from select import EPOLLHUP
from socket import (
    AF_UNIX,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SocketType,
    socket,
)
from typing import TYPE_CHECKING, Any

from proxy.log import Log, Record
from proxy.loop import LISTENER_EVENTS, Loop
from proxy.options import StartError

if TYPE_CHECKING:
    from proxy.session import Session

MOST_ASKERS = 4
"""At once; one more is closed unanswered."""
LINES_PER_TURN = 64
ASKING_SECONDS = 10.0
"""For which an answer may stay unread."""
RETRY_SECONDS = 1.0
LONGEST_PATH = 107
"""Octets of a UNIX socket's path (unix(7))."""
_SOCKET_NAME = re.compile(r"worker-([0-9]+)\.sock")
_OPEN_TO_OTHERS = 0o077


def socket_path(folder: Path, pid: int) -> Path:
    """Where the worker with this process ID answers."""
    return folder / f"worker-{pid}.sock"


def sockets_in(folder: Path) -> Iterator[Path]:
    """What looks like a worker's socket, and is a socket. Raises OSError."""
    for path in sorted(folder.iterdir()):
        if _SOCKET_NAME.fullmatch(path.name) and stat.S_ISSOCK(path.lstat().st_mode):
            yield path


def prepare_folder(folder: Path) -> None:
    """Make the folder if need be, and remove sockets in it that nobody answers at. Raises StartError."""
    if len(os.fsencode(socket_path(folder, 1 << 22))) > LONGEST_PATH:
        raise StartError(f"operations.control: {folder} is too long a path for sockets in it")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & _OPEN_TO_OTHERS:
            raise StartError(f"operations.control: {folder} must be a folder of this user alone: chmod 700 {folder}")
        for path in sockets_in(folder):
            if not _is_answered(path):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise StartError(f"operations.control: cannot use {folder}: {error.strerror}") from error


def _is_answered(path: Path) -> bool:
    with socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK) as sock:
        return sock.connect_ex(str(path)) != errno.ECONNREFUSED


class Control:
    """A worker's socket in the folder, and the handler of those who connect."""

    def __init__(self, folder: Path, loop: Loop, log: Log, sessions: Iterable[Session]) -> None:
        """Raises StartError."""
        self.loop = loop
        self.log = log
        self.askers = 0
        self._sessions = sessions
        self._path = socket_path(folder, os.getpid())
        self._socket = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
        try:
            with suppress(FileNotFoundError):  # another process had this number once
                self._path.unlink()
            self._socket.bind(str(self._path))
            self._path.chmod(0o600)
            self._socket.listen(MOST_ASKERS)
        except OSError as error:
            raise StartError(f"operations.control: cannot listen on {self._path}: {error.strerror}") from error
        loop.add(self._socket.fileno(), self, LISTENER_EVENTS)

    def close(self) -> None:
        self.loop.handlers.pop(self._socket.fileno(), None)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def ready(self, mask: int) -> None:
        """Somebody asks; or (0) it is time to look again."""
        if not mask:
            if self._socket.fileno() >= 0:
                self.loop.add(self._socket.fileno(), self, LISTENER_EVENTS)
            return
        try:
            connection, _ = self._socket.accept()
        except OSError:
            # Without descriptors who asks must wait, and the kernel would tell of it again and again.
            self.loop.remove(self._socket.fileno())
            self.loop.call_at(self.loop.now + RETRY_SECONDS, self)
            return
        asker = SocketType(AF_UNIX, SOCK_STREAM, 0, connection.detach())
        if self.askers >= MOST_ASKERS:
            asker.close()
            return
        self.askers += 1
        answer = _Answer(self, asker, tuple(self._sessions))
        self.loop.add(asker.fileno(), answer)
        self.loop.call_at(self.loop.now + ASKING_SECONDS, answer)

    def crashed(self, error: Exception) -> None:
        raise error


class _Answer:
    """What one asker is told: the handler of its socket."""

    def __init__(self, control: Control, asker: SocketType, sessions: tuple[Session, ...]) -> None:
        self._control = control
        self._asker = asker
        self._rest = iter(sessions)
        self._unsent = b""
        self._over = False

    def ready(self, mask: int) -> None:
        """Send some more; `mask` is 0 when the time is over."""
        if self._over:
            return
        if not mask or mask & EPOLLHUP:
            self._end()
            return
        if not self._unsent:
            lines = [_line(one) for one in islice(self._rest, LINES_PER_TURN)]
            if not lines:
                self._end()
                return
            self._unsent = b"".join(lines)
        try:
            sent = self._asker.send(self._unsent, MSG_DONTWAIT | MSG_NOSIGNAL)
        except BlockingIOError:
            return
        except OSError:
            self._end()
            return
        self._unsent = self._unsent[sent:]
        self._control.loop.again(self)

    def crashed(self, error: Exception) -> None:
        self._control.log.defect(error)
        self._end()

    def _end(self) -> None:
        self._over = True
        self._rest = iter(())
        self._control.askers -= 1
        self._control.loop.bury(self._asker)


def _line(session: Session) -> bytes:
    if session.is_over:
        return b""
    return json.dumps(describe(session.record(""), session.stage.name.lower())).encode() + b"\n"


def describe(record: Record, stage: str) -> dict[str, Any]:
    """A connection that goes on, as `top` shows it."""
    return {
        "client": record.peer, "user": record.user, "protocol": record.protocol, "destination": record.destination,
        "mptcp": record.mptcp, "up": record.up, "down": record.down, "seconds": round(record.seconds, 3),
        "stage": stage,
    }  # fmt: skip
