"""The parent process: starts the workers, replaces those that die, stops them all."""

from __future__ import annotations

import os
import resource
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from proxy import log
from proxy.channel import Ends
from proxy.endpoints import Endpoints
from proxy.notify import notify
from proxy.options import Options, StartError
from proxy.worker import Stop, Worker

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP})
RETIRE = signal.SIGUSR1
"""To a worker: serve the connections there are, for as long as they last, and take no more."""
RESTART_SECONDS = 1.0
"""The least time between two starts of one worker, so that one that dies at once does not take the processor."""
KILL_MARGIN_SECONDS = 2.0


@dataclass(slots=True)
class Child:
    """A worker process."""

    pid: int
    slot: int
    started: float
    retired: bool = False


class Supervisor:
    """Holds the listening sockets for as long as it lives, so that a worker's end never loses a client."""

    def __init__(self, read_options: Callable[[], Options]) -> None:
        """`read_options` is asked again at each reload; it raises StartError."""
        self._read_options = read_options
        self._options = read_options()
        self._endpoints = Endpoints()
        self._channels: list[Ends] = []
        self._children: list[Child] = []
        self._due: dict[int, float] = {}
        """When workers that have died are to be replaced, by slot."""
        self._lifeline, self._lifeline_end = os.pipe()

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; the exit code. Raises StartError."""
        raise_descriptor_limit()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._endpoints.open(self._options)
        if not self._start_all():
            self._endpoints.close()
            self._stop()
            raise StartError("a worker ended before it was ready: see the lines above")
        self._say("listening")
        notify("READY=1")
        self._watch()
        notify("STOPPING=1")
        self._endpoints.close()
        self._stop()
        return 0

    def _say(self, event: str) -> None:
        workers = [child.pid for child in self._children if not child.retired]
        log.say(event, addresses=self._endpoints.addresses, pid=os.getpid(), workers=workers)

    def _start_all(self) -> bool:
        """Start a worker in each slot, with channels of their own; whether all are ready."""
        self._channels = [Ends.make() for _ in range(self._options.workers)]
        return all(self._start(slot) for slot in range(self._options.workers))

    def _start(self, slot: int) -> bool:
        """Start one worker and wait until it accepts."""
        ready, ready_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ready)
            os.close(self._lifeline_end)
            self._work(slot, ready_end)
        os.close(ready_end)
        accepting = os.read(ready, 1) == b"!"
        os.close(ready)
        self._children.append(Child(pid, slot, time.monotonic()))
        return accepting

    def _work(self, slot: int, ready_end: int) -> None:
        """The worker process; never returns."""
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C reaches the whole group: the supervisor decides
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            self._endpoints.keep_only(slot)
            worker = Worker(self._options, self._endpoints.of_worker(slot), slot, self._channels)
            signal.signal(signal.SIGTERM, lambda *_: worker.loop.post(Stop(worker)))
            signal.signal(RETIRE, lambda *_: worker.loop.post(Stop(worker, retire=True)))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            os.write(ready_end, b"!")
            os.close(ready_end)
            worker.run(self._lifeline)
            code = 0
        except StartError as error:
            log.say("worker failed", why=str(error))
        except BaseException:  # noqa: BLE001 -- nothing may unwind past the fork into the parent's code
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)

    def _watch(self) -> None:
        """Replace workers, and reload, until told to stop."""
        while True:
            now = time.monotonic()
            timeout = min(self._due.values(), default=now + 3600.0) - now
            caught = signal.sigtimedwait(SIGNALS, max(0.0, timeout))
            if caught is not None and caught.si_signo == signal.SIGHUP:
                self._reload()
            elif caught is not None and caught.si_signo != signal.SIGCHLD:
                return
            for child in self._reap():
                if not child.retired:
                    self._due[child.slot] = max(time.monotonic(), child.started + RESTART_SECONDS)
            for slot, moment in tuple(self._due.items()):
                if moment <= time.monotonic():
                    del self._due[slot]
                    started = self._start(slot)
                    log.say("worker started" if started else "worker failed", pid=self._children[-1].pid)

    def _reload(self) -> None:
        """Let workers with the new options take over from those with the old ones, which serve their clients on.

        What is wrong with the new options is said, and nothing changes.
        """
        notify("RELOADING=1")
        before, channels = self._options, self._channels
        retiring = [child for child in self._children if not child.retired]
        try:
            self._options = self._read_options()
            self._endpoints.open(self._options)
        except StartError as error:
            self._options = before
            log.say("reload refused", why=str(error))
            notify("READY=1")
            return
        if self._start_all():
            self._due.clear()
            for child in retiring:
                child.retired = True
                os.kill(child.pid, RETIRE)
            self._close(channels)
            self._say("reloaded")
        else:
            for child in self._children:
                if child not in retiring:
                    child.retired = True
                    os.kill(child.pid, signal.SIGKILL)
            self._close(self._channels)
            self._options, self._channels = before, channels
            self._endpoints.open(before)
            log.say("reload refused", why="a worker ended before it was ready: see the lines above")
        notify("READY=1")

    @staticmethod
    def _close(channels: list[Ends]) -> None:
        for ends in channels:
            ends.close()

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
            if caught is None or caught.si_signo in (signal.SIGTERM, signal.SIGINT):
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
