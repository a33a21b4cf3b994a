"""Pipes for splice: a direction that proves to be bulk borrows one, and gives it back as soon as it is empty."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass

PIPE_OCTETS = 1 << 20


@dataclass(slots=True, eq=False)
class Pipe:
    """Both ends non-blocking."""

    read_end: int
    write_end: int

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self.write_end)


class PipePool:
    """At most `limit` pipes, made when first needed.

    The kernel gives an unprivileged user 64 pipes of 1 MiB (`pipe-user-pages-soft`); later ones keep its default size,
    which works as well, only slower.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._made = 0
        self._spare: list[Pipe] = []

    def take(self) -> Pipe | None:
        """An empty pipe, or None when there is none to be had: the caller copies instead."""
        if self._spare:
            return self._spare.pop()
        if self._made >= self._limit:
            return None
        try:
            pipe = Pipe(*os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            return None
        self._made += 1
        with suppress(PermissionError):
            fcntl.fcntl(pipe.write_end, fcntl.F_SETPIPE_SZ, PIPE_OCTETS)
        return pipe

    def give_back(self, pipe: Pipe) -> None:
        """The pipe must be empty."""
        self._spare.append(pipe)

    def discard(self, pipe: Pipe) -> None:
        """For a pipe that still holds octets of a connection that broke."""
        pipe.close()
        self._made -= 1
