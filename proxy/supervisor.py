"""The parent process: starts the workers, replaces those that die, stops them all."""

from __future__ import annotations

import os
import resource
import signal
import time
import traceback
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from proxy import log
from proxy.listener import bound_socket
from proxy.notify import notify
from proxy.options import HostPort, Options, StartError
from proxy.worker import Stop, Worker

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
RESTART_SECONDS = 1.0
"""The least time between two starts of one worker, so that one that dies at once does not take the processor."""
KILL_MARGIN_SECONDS = 2.0


@dataclass(slots=True)
class Child:
    """A worker process."""

    pid: int
    started: float


class Supervisor:
    """Holds the listening addresses for as long as it lives, so that a worker's end never loses them."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._children: list[Child] = []
        self._due: list[float] = []
        """When workers that have died are to be replaced."""
        self._lifeline, self._lifeline_end = os.pipe()

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; the exit code. Raises StartError."""
        raise_descriptor_limit()
        with ExitStack() as held:
            self._options = replace(self._options, listen=tuple(self._reserve(held, a) for a in self._options.listen))
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            for _ in range(self._options.workers):
                if not self._start():
                    self._stop()
                    raise StartError("a worker ended before it was ready: see the lines above")
            log.say("listening", addresses=[str(address) for address in self._options.listen], pid=os.getpid(),
                    workers=[child.pid for child in self._children])  # fmt: skip
            notify("READY=1")
            self._watch()
            notify("STOPPING=1")
            self._stop()
        return 0

    @staticmethod
    def _reserve(held: ExitStack, address: HostPort) -> HostPort:
        """Bind without listening: says now what is wrong with the address, and fixes the port if it is 0."""
        sock = held.enter_context(closing(bound_socket(address)))
        return HostPort(address.host, sock.getsockname()[1])

    def _start(self) -> bool:
        """Start one worker and wait until it listens."""
        ready, ready_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ready)
            os.close(self._lifeline_end)
            self._work(ready_end)
        os.close(ready_end)
        listening = os.read(ready, 1) == b"!"
        os.close(ready)
        self._children.append(Child(pid, time.monotonic()))
        return listening

    def _work(self, ready_end: int) -> None:
        """The worker process; never returns."""
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C reaches the whole group: the supervisor decides
            worker = Worker(self._options)
            os.write(ready_end, b"!")
            os.close(ready_end)
            signal.signal(signal.SIGTERM, lambda *_: worker.loop.post(Stop(worker)))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            worker.run(self._lifeline)
            code = 0
        except StartError as error:
            log.say("worker failed", why=str(error))
        except BaseException:  # noqa: BLE001 -- nothing may unwind past the fork into the parent's code
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)

    def _watch(self) -> None:
        """Replace workers until told to stop."""
        while True:
            now = time.monotonic()
            timeout = min(self._due, default=now + 3600.0) - now
            caught = signal.sigtimedwait(SIGNALS, max(0.0, timeout))
            if caught is not None and caught.si_signo != signal.SIGCHLD:
                return
            for child in self._reap():
                self._due.append(max(time.monotonic(), child.started + RESTART_SECONDS))
            due = [moment for moment in self._due if moment <= time.monotonic()]
            for moment in due:
                self._due.remove(moment)
                started = self._start()
                log.say("worker started" if started else "worker failed", pid=self._children[-1].pid)

    def _reap(self) -> list[Child]:
        """The workers that have died."""
        dead = []
        for child in tuple(self._children):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._children.remove(child)
                dead.append(child)
                log.say("worker ended", pid=pid, status=os.waitstatus_to_exitcode(status))
        return dead

    def _stop(self) -> None:
        """Let the workers drain; kill those that overstay, or all at once at a second signal."""
        self._signal_all(signal.SIGTERM)
        deadline = time.monotonic() + self._options.timeouts.drain + KILL_MARGIN_SECONDS
        while self._children:
            caught = signal.sigtimedwait(SIGNALS, max(0.0, deadline - time.monotonic()))
            if caught is None or caught.si_signo != signal.SIGCHLD:
                self._signal_all(signal.SIGKILL)
                deadline = time.monotonic() + KILL_MARGIN_SECONDS
            self._reap()

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children:
            os.kill(child.pid, number)


def raise_descriptor_limit() -> None:
    """Two descriptors for each connection: take all that the hard limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
