"""`python -m proxy` without the fifth of a second that a new interpreter takes to import it.

Beside each process that runs tests there is one that has imported the proxy and waits. It forks what is asked for:
a process with the arguments, variables, limits, descriptors and network that `python -m proxy` would have here, which
runs `proxy/__main__.py` from its first line to its exit. Tests about a new interpreter start one themselves.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import resource
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

NUMBER = struct.Struct("i")
LONGEST_REQUEST = 1 << 17
CLONE_NEWNET = 0x40000000


class ForkedProxy:
    """What `subprocess.Popen` is to `python -m proxy ARGUMENTS`; the same names mean the same."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        stdout: int = 1,
        stderr: int = 2,
        nofile: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`stdout` and `stderr` are descriptors, which stay the caller's; `nofile` limits those it may open."""
        request = {"arguments": list(arguments), "env": {**os.environ, **(env or {})}, "nofile": nofile}
        self._status, its_end = os.pipe()
        # A thread may be in another namespace than the process is.
        network = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        socket.send_fds(_server(), [json.dumps(request).encode()], [stdout, stderr, network, its_end])
        os.close(network)
        os.close(its_end)
        self.pid = self._told()
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """The exit code, or None while it runs; that of a signal is negative."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has one. Raises TimeoutExpired after `timeout` seconds."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("proxy", timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
                self.returncode = self._told()
                os.close(self._status)
            return self.returncode

    def _told(self) -> int:
        told: int = NUMBER.unpack(os.read(self._status, NUMBER.size))[0]
        return told


def run_proxy(*arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """`python -m proxy ARGUMENTS` to its end: the exit code, and all it wrote. Raises TimeoutExpired."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = ForkedProxy(arguments, stdout=out.fileno(), stderr=err.fileno())
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["proxy", *arguments], code, out.read(), err.read())


@cache
def _server() -> socket.socket:
    """Where the process that forks takes requests; it lasts as long as this one."""
    ours, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.proxy.forking", str(its_end.fileno())]
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL, pass_fds=[its_end.fileno()])
    its_end.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(requests: socket.socket) -> None:
    """Fork for each request. Returns in what is to become a proxy, and nowhere else."""
    # ^C reaches the whole group: it is for the proxies and who started them. Nobody waits for the keepers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, LONGEST_REQUEST, 4)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            return _keep(json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _keep(request: dict[str, Any], out: int, err: int, network: int, status: int) -> None:
    """Fork the proxy, tell its number and later its exit code, and exit. Returns in the proxy, and nowhere else."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(status)
        return _become(request, out, err, network)
    for descriptor in (out, err, network):
        os.close(descriptor)
    with suppress(BrokenPipeError):  # who asked has ended
        os.write(status, NUMBER.pack(pid))
        os.write(status, NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
    os._exit(0)


def _become(request: dict[str, Any], out: int, err: int, network: int) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.fstat(network).st_ino != Path("/proc/self/ns/net").stat().st_ino:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(network, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    os.close(network)
    for given, descriptor in ((out, 1), (err, 2)):
        os.dup2(given, descriptor)
        os.close(given)
    os.environ.clear()
    os.environ.update(request["env"])
    if request["nofile"] is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (request["nofile"], request["nofile"]))
    sys.argv = ["proxy", *request["arguments"]]


if __name__ == "__main__":
    import proxy.cli  # noqa: F401 -- what `python -m proxy` imports

    _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("proxy", run_name="__main__", alter_sys=True)
