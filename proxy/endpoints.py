"""The listening sockets, held by the supervisor for its workers.

Each worker has a socket of its own for every address (SO_REUSEPORT: the kernel spreads clients over them), made before
it and kept after it: what waits in the queue of a worker that died, or that a reload replaces, is for its successor.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from proxy.listener import listening_socket, prepare
from proxy.options import HostPort, Listen, Mode, Options, StartError

FIRST_PASSED = 3
"""SD_LISTEN_FDS_START (sd_listen_fds(3))."""


class Endpoints:
    """By address, a socket for each worker."""

    def __init__(self) -> None:
        self._sockets: dict[Listen, list[socket.socket]] = {}
        self._passed = _passed_by_manager()

    def open(self, options: Options) -> None:
        """Have what these options want, and nothing else. Raises StartError, and changes nothing then."""
        wanted: dict[Listen, list[socket.socket]] = {}
        opened: list[socket.socket] = []
        try:
            for listen in options.listen:
                kept = self._sockets.get(listen, [])[: options.workers]
                port = kept[0].getsockname()[1] if kept else listen.address.port
                for _ in range(options.workers - len(kept)):
                    sock = self._from_manager(listen) or listening_socket(
                        listen, port, multipath=listen.mptcp and options.mode is Mode.SERVE
                    )
                    opened.append(sock)
                    kept.append(sock)
                    port = sock.getsockname()[1]
                wanted[listen] = kept
        except StartError:
            _close(opened)
            raise
        needed = {id(sock) for sockets in wanted.values() for sock in sockets}
        _close([sock for sockets in self._sockets.values() for sock in sockets if id(sock) not in needed])
        self._sockets = wanted

    def of_worker(self, slot: int) -> Sequence[tuple[Listen, socket.socket]]:
        """What the worker of this number listens on."""
        return [(listen, sockets[slot]) for listen, sockets in self._sockets.items()]

    def keep_only(self, slot: int) -> None:
        """In the worker's process: close what is for the others."""
        _close([sock for sockets in self._sockets.values() for n, sock in enumerate(sockets) if n != slot])

    def close(self) -> None:
        """Refuse clients from now on."""
        _close([sock for sockets in self._sockets.values() for sock in sockets])
        self._sockets = {}

    @property
    def addresses(self) -> list[str]:
        """Where clients are taken, with the port that the kernel chose where 0 was asked for."""
        return [
            str(HostPort(listen.address.host, sockets[0].getsockname()[1])) for listen, sockets in self._sockets.items()
        ]

    def _from_manager(self, listen: Listen) -> socket.socket | None:
        """The socket for this address that the service manager opened: one for all workers."""
        passed = self._passed.get((listen.address.host, listen.address.port))
        if passed is None:
            return None
        try:
            prepare(passed, listen)
        except OSError as error:
            raise StartError(f"cannot use the socket passed for {listen.address}: {error.strerror}") from error
        return passed.dup()


def _passed_by_manager() -> dict[tuple[str, int], socket.socket]:
    """Sockets that systemd opened for us (sd_listen_fds(3)), by address."""
    if os.environ.pop("LISTEN_PID", None) != str(os.getpid()):
        return {}
    passed = {}
    for fd in range(FIRST_PASSED, FIRST_PASSED + int(os.environ.pop("LISTEN_FDS", "0"))):
        sock = socket.socket(fileno=fd)
        sock.setblocking(False)
        os.set_inheritable(fd, False)
        passed[sock.getsockname()[:2]] = sock
    return passed


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
