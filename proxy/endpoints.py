"""The listening sockets, held by the supervisor for its workers.

Each worker has a socket of its own for every address (SO_REUSEPORT: the kernel spreads clients over them), made before
it and kept after it: what waits in the queue of a worker that died, or that a reload replaces, is for its successor.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections import Counter
from collections.abc import Iterable, Sequence

from proxy.listener import listening_socket, prepare, take_fast_open
from proxy.options import HostPort, Listen, Mode, Options, StartError

FIRST_PASSED = 3
"""SD_LISTEN_FDS_START (sd_listen_fds(3))."""

Key = tuple[HostPort, bool, int]
"""What makes two sockets the same: the address, whether MPTCP is taken, and a number for addresses that stand several
times, as they may with port 0. All else about a listener is for workers to know."""


class Passed:
    """Sockets that the service manager opened for us (sd_listen_fds(3)), by address."""

    def __init__(self) -> None:
        """Raises StartError."""
        self._sockets: dict[tuple[str, int], socket.socket] = {}
        count = int(os.environ.pop("LISTEN_FDS", "0"))
        if os.environ.pop("LISTEN_PID", None) != str(os.getpid()):
            return
        for fd in range(FIRST_PASSED, FIRST_PASSED + count):
            sock = _tcp_socket(fd)
            self._sockets[sock.getsockname()[:2]] = sock

    def find(self, address: HostPort) -> socket.socket | None:
        return self._sockets.get((str(ipaddress.ip_address(address.host)), address.port))

    def close(self) -> None:
        _close(self._sockets.values())


class Endpoints:
    """By address, a socket for each worker. They do not change: a reload opens others, which share what stays."""

    def __init__(self) -> None:
        self._sockets: dict[Key, tuple[Listen, list[socket.socket]]] = {}

    @classmethod
    def open(cls, options: Options, passed: Passed, before: Endpoints | None = None) -> Endpoints:
        """What these options want, with those sockets of `before` that fit. Raises StartError: none is opened then."""
        before = before or cls()
        opened = cls()
        times: Counter[tuple[HostPort, bool]] = Counter()
        try:
            for listen in options.listen:
                multipath = listen.mptcp and options.mode is Mode.SERVE
                key = (listen.address, multipath, times[listen.address, multipath])
                times[listen.address, multipath] += 1
                known, sockets = before._sockets.get(key, (listen, []))
                mine = sockets[: options.workers]
                opened._sockets[key] = listen, mine
                if known.fast_open != listen.fast_open:
                    _change(mine, listen)
                port = mine[0].getsockname()[1] if mine else listen.address.port
                while len(mine) < options.workers:
                    mine.append(_socket(listen, port, passed, multipath=multipath))
                    port = mine[0].getsockname()[1]
        except StartError:
            opened.close(keeping=before)
            raise
        return opened

    def of_worker(self, slot: int) -> Sequence[tuple[Listen, socket.socket]]:
        """What the worker of this number listens on."""
        return [(listen, sockets[slot]) for listen, sockets in self._sockets.values()]

    def keep_only(self, slot: int) -> None:
        """In the worker's process: close what is for the others."""
        for _, sockets in self._sockets.values():
            _close(sock for number, sock in enumerate(sockets) if number != slot)

    def close(self, keeping: Endpoints | None = None) -> None:
        """Refuse clients from now on, but for those of `keeping`."""
        needed = {id(sock) for _, sockets in keeping._sockets.values() for sock in sockets} if keeping else set()
        for _, sockets in self._sockets.values():
            _close(sock for sock in sockets if id(sock) not in needed)

    @property
    def addresses(self) -> list[str]:
        """Where clients are taken, with the port that the kernel chose where 0 was asked for."""
        return [
            str(HostPort(listen.address.host, sockets[0].getsockname()[1]))
            for listen, sockets in self._sockets.values()
        ]


def _tcp_socket(fd: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise StartError(f"descriptor {fd}, passed by the service manager, is not a TCP socket") from error
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
        raise StartError(f"descriptor {fd}, passed by the service manager, is not a TCP socket")
    os.set_inheritable(fd, False)
    sock.setblocking(False)
    return sock


def _socket(listen: Listen, port: int, passed: Passed, *, multipath: bool) -> socket.socket:
    """A worker's socket: the one that the service manager opened is shared by all. Raises StartError."""
    ready = passed.find(listen.address)
    if ready is None:
        return listening_socket(listen, port, multipath=multipath)
    try:
        prepare(ready, listen)
    except OSError as error:
        raise StartError(f"cannot use the socket passed for {listen.address}: {error.strerror}") from error
    return ready.dup()


def _change(sockets: Iterable[socket.socket], listen: Listen) -> None:
    try:
        for sock in sockets:
            take_fast_open(sock, take=listen.fast_open)
    except OSError as error:
        raise StartError(f"cannot change fast_open of {listen.address}: {error.strerror}") from error


def _close(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
