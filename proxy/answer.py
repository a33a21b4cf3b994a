"""The reply to a client that made a false start (draft-11 "Requests"): its data go first, and then it is told."""

from __future__ import annotations

from socket import MSG_DONTWAIT
from typing import TYPE_CHECKING

from codec.socks6.option_list import Options
from proxy.relay import READABLE

if TYPE_CHECKING:
    from proxy.handshake import Handshake
    from proxy.relay import Flow

FIRST_OCTETS = 2048
"""Of the remote host's, at most, along with the reply: together they are far smaller than an empty send buffer."""


class Answer:
    """Told once the events at hand are done: a remote host that is near has answered by then, and one segment, one
    system call and one turn of the client do for both. Nothing goes down before that."""

    __slots__ = ("_answers", "_down", "_front", "_mask")

    def __init__(self, front: Handshake, down: Flow, answers: Options, mask: int) -> None:
        """`mask` is what has happened to the remote host already."""
        self._front = front
        self._down = down
        self._answers = answers
        self._mask = mask

    def ready(self, _mask: int) -> None:
        """Called once, by the loop."""
        down = self._down
        session, remote = down.session, down.source
        if session.is_over:
            return
        error = None
        try:
            first = remote.recv(FIRST_OCTETS, MSG_DONTWAIT)
        except BlockingIOError:
            first = b""
        except OSError as problem:
            first, error = b"", problem.errno
        if not self._front.connected(remote, self._answers, first):
            session.end("client reset", reset=True)
            return
        down.octets += len(first)
        if error is not None:
            session.broken(remote, error)
        elif self._mask & READABLE:
            down.pump(thorough=True)

    def crashed(self, error: Exception) -> None:
        self._down.crashed(error)
