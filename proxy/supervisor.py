"""The parent process: starts the workers, replaces those that die, stops them all."""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proxy import log
from proxy.control import socket_path
from proxy.endpoints import Passed
from proxy.generation import Generation
from proxy.metrics import Board, Counters
from proxy.notify import notify
from proxy.options import Options, StartError
from proxy.worker import Stop, Worker

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP})
RETIRE = signal.SIGUSR1
"""To a worker: serve the connections there are, for as long as they last, and take no more."""
RESTART_SECONDS = 1.0
"""The least time between two starts of one worker, so that one that dies at once does not take the processor."""
START_SECONDS = 30.0
"""In which a process is to be ready."""
KILL_MARGIN_SECONDS = 2.0
EXPORTER = -1
"""The slot of the process that shows the metrics."""


@dataclass(slots=True)
class Child:
    """A worker, or the exporter."""

    pid: int
    slot: int
    started: float
    block: int | None
    accepting: int
    """A pipe to which it writes when it accepts clients, and which ends when it does not any more."""
    retired: bool = False


class Supervisor:
    """Holds the listening sockets for as long as it lives, so that a worker's end never loses a client."""

    def __init__(self, read_options: Callable[[], Options]) -> None:
        """`read_options` is asked again at each reload. Raises StartError, as it does."""
        self._read_options = read_options
        self._options = read_options()
        self._board = Board()
        self._children: list[Child] = []
        self._due: dict[int, float] = {}
        """When processes that have died are to be replaced, by slot."""

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; the exit code. Raises StartError."""
        raise_descriptor_limit()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._passed = Passed()
        self._lifeline, self._lifeline_end = os.pipe()
        self._now = Generation.open(self._options, self._passed)
        if not self._start_all(self._now):
            self._now.close()
            self._stop()
            raise StartError("a worker ended before it was ready: see the lines above")
        self._start_exporter()
        self._say("listening")
        notify("READY=1")
        self._watch()
        notify("STOPPING=1")
        self._now.close()
        self._passed.close()
        self._stop()
        return 0

    def _tell(self, event: str, **fields: Any) -> None:
        log.say(event, self._options.operations.log, **fields)

    def _say(self, event: str) -> None:
        workers = [child.pid for child in self._children if child.slot != EXPORTER and not child.retired]
        fields: dict[str, Any] = {"addresses": self._now.endpoints.addresses, "pid": os.getpid(), "workers": workers}
        if self._now.metrics is not None:
            fields["metrics"] = "{}:{}".format(*self._now.metrics.getsockname())
        self._tell(event, **fields)

    def _start_all(self, generation: Generation) -> bool:
        """Start a worker in each slot; whether all are ready."""
        return all(self._start(generation, slot) for slot in range(generation.options.workers))

    def _start_exporter(self) -> None:
        if self._now.metrics is not None and not self._start(self._now, EXPORTER):
            self._tell("exporter failed", pid=self._children[-1].pid)

    def _start(self, generation: Generation, slot: int) -> bool:
        """Start one process and wait until it is ready."""
        block = None if slot == EXPORTER else self._board.take()
        if block is None and slot != EXPORTER:
            self._tell("worker failed", why="too many workers that reloads have retired still serve their clients")
            return False
        accepting, its_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(accepting)
            self._become(generation, slot, block, its_end)
        os.close(its_end)
        is_ready = _said(accepting, START_SECONDS) == b"!"
        if not is_ready:
            os.kill(pid, signal.SIGKILL)
        self._children.append(Child(pid, slot, time.monotonic(), block, accepting))
        return is_ready

    def _become(self, generation: Generation, slot: int, block: int | None, accepting: int) -> None:
        """The new process; never returns."""
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C reaches the whole group: the supervisor decides
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.close(self._lifeline_end)
            for sibling in self._children:
                os.close(sibling.accepting)
            if self._now is not generation:
                self._now.close(keeping=generation)
            self._passed.close()
            if slot == EXPORTER:
                self._export(generation, accepting)
            else:
                self._work(generation, slot, block, accepting)
            code = 0
        except StartError as error:
            self._tell("worker failed", why=str(error))
        except BaseException as error:  # noqa: BLE001 -- nothing may unwind past the fork into the parent's code
            crash = log.Log(self._options.operations.log)
            crash.defect(error)
            crash.close()
        finally:
            os._exit(code)

    def _work(self, generation: Generation, slot: int, block: int | None, accepting: int) -> None:
        generation.keep_for_worker(slot)
        counters = Counters(self._board.block(block)) if block is not None else None
        listening = generation.endpoints.of_worker(slot)
        worker = Worker(generation.options, listening, slot, generation.channels, counters=counters, tls=generation.tls)
        worker.accepts_no_more = lambda: os.close(accepting)
        signal.signal(signal.SIGTERM, lambda *_: worker.loop.post(Stop(worker)))
        signal.signal(RETIRE, lambda *_: worker.loop.post(Stop(worker, retire=True)))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.write(accepting, b"!")
        worker.run(self._lifeline)

    def _export(self, generation: Generation, accepting: int) -> None:
        from proxy.exporter import Exporter

        generation.keep_for_exporter()
        assert generation.metrics is not None
        exporter = Exporter(generation.metrics, self._board)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.write(accepting, b"!")
        exporter.run(self._lifeline)

    def _watch(self) -> None:
        """Replace processes, and reload, until told to stop."""
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
                    self._replace(slot)

    def _replace(self, slot: int) -> None:
        if slot == EXPORTER:
            self._start_exporter()
        elif self._start(self._now, slot):
            self._tell("worker started", pid=self._children[-1].pid)
        else:
            self._due[slot] = time.monotonic() + RESTART_SECONDS

    def _reload(self) -> None:
        """Let workers with the new options take over from those with the old ones, which serve their clients on.

        What is wrong with the new options is said, and nothing changes. Once it is said that they hold, they hold for
        all new clients.
        """
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        before, retiring = self._now, [child for child in self._children if not child.retired]
        try:
            after = Generation.open(self._read_options(), self._passed, before)
            if not self._start_all(after):
                self._retire([child for child in self._children if child not in retiring], signal.SIGKILL)
                after.close(keeping=before)
                raise StartError("a worker ended before it was ready: see the lines above")
        except StartError as error:
            self._tell("reload refused", why=str(error))
        else:
            self._now, self._options = after, after.options
            self._due.clear()
            workers = [child for child in retiring if child.slot != EXPORTER]
            self._retire(workers, RETIRE)
            deadline = time.monotonic() + START_SECONDS
            for child in workers:
                _said(child.accepting, deadline - time.monotonic())
            if after.metrics is not before.metrics:
                self._retire([child for child in retiring if child.slot == EXPORTER], signal.SIGTERM)
                self._start_exporter()
            before.close(keeping=after)
            self._say("reloaded")
        notify("READY=1")

    @staticmethod
    def _retire(children: list[Child], number: signal.Signals) -> None:
        for child in children:
            child.retired = True
            os.kill(child.pid, number)

    def _reap(self) -> list[Child]:
        """The processes that have died."""
        dead = []
        for child in tuple(self._children):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._children.remove(child)
                dead.append(child)
                self._bury(child, os.waitstatus_to_exitcode(status))
        return dead

    def _bury(self, child: Child, status: int) -> None:
        """Keep what it counted, and remove what it may have left."""
        os.close(child.accepting)
        if child.block is not None:
            self._board.retire(child.block)
        folder = self._options.operations.control
        if folder is not None:
            socket_path(folder, child.pid).unlink(missing_ok=True)
        kind = "exporter" if child.slot == EXPORTER else "worker"
        self._tell(f"{kind} ended", pid=child.pid, status=status)

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


def _said(pipe: int, seconds: float) -> bytes:
    """What a process says next through its pipe; nothing when it has closed it, or says nothing in time."""
    return os.read(pipe, 1) if select.select([pipe], [], [], max(0.0, seconds))[0] else b""


def raise_descriptor_limit() -> None:
    """Two descriptors for each connection: take all that the hard limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
