"""One process of the proxy: its loop, its listeners, its sessions."""

from __future__ import annotations

import gc
import resource
from dataclasses import astuple
from select import EPOLLIN
from socket import AF_INET, AF_INET6, SocketType
from time import time
from typing import Any

from codec.address import Address, AddressType
from proxy.listener import Listener
from proxy.log import Log, Record
from proxy.loop import Loop
from proxy.mptcp import OutwardSockets
from proxy.options import Mode, Options
from proxy.pipes import PipePool
from proxy.resolver import Candidate, Resolver
from proxy.rules import clients_within, destinations
from proxy.session import Session

TICK_SECONDS = 0.1
"""How late a log line may be."""
SWEEP_SECONDS = 0.5
"""How late a timeout may be; less when a timeout is that short itself."""
RESERVED_DESCRIPTORS = 24
"""For listeners, epoll, the log and the resolver's own sockets."""
MOST_PIPES = 64


class Worker:
    """What the sessions of one process share."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.loop = Loop(tick_seconds=TICK_SECONDS, on_tick=self._tick)
        self._sweep_seconds = min(SWEEP_SECONDS, min(astuple(options.timeouts)) / 4)
        self._next_sweep = 0.0
        self.log = Log()
        self.resolver = Resolver(self.loop)
        self.sockets = OutwardSockets(multipath=options.mptcp)
        self.may_reach = destinations(allow_loopback=options.allow_loopback_destinations)
        self._may_use = clients_within(options.allow)
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        pipes = min(MOST_PIPES, descriptors // 16)
        self.pipes = PipePool(pipes)
        self._most_sessions = max(1, (descriptors - RESERVED_DESCRIPTORS - 2 * pipes) // 2)
        self._sessions: set[Session] = set()
        self._paused = False
        self._drain_until: float | None = None
        multipath = options.mptcp_listener and options.mode is Mode.SERVE
        self._listeners = [Listener(self, address, multipath=multipath) for address in options.listen]
        for listener in self._listeners:
            listener.resume()

    def run(self, lifeline: int) -> None:
        """Serve until SIGTERM, or until the supervisor's end of `lifeline` closes; then drain."""
        self.loop.add(lifeline, Stop(self), EPOLLIN)
        # What lives now lives for ever: the collector need not look at it again.
        gc.freeze()
        self.loop.run()
        self.log.close()

    def admit(self, client: SocketType, peer: tuple[Any, ...]) -> bool:
        """Take a client, if it may use the proxy. False when no more are to be accepted for now."""
        if not self._may_use(peer[0]):
            client.close()
            self.log.add(Record(time(), peer, "unknown", "", 0, False, 0, 0, 0.0, "client not allowed"))
            return True
        session = Session(self, client, peer)
        self._sessions.add(session)
        if self.options.mode is Mode.SERVE:
            session.begin_socks()
        else:
            session.begin_redirected()
        if len(self._sessions) >= self._most_sessions:
            self.pause_accepting()
        return not self._paused

    def ended(self, session: Session) -> None:
        """Forget a session."""
        self._sessions.discard(session)

    def pause_accepting(self) -> None:
        """No descriptors for more: go on with the sessions there are, and look again at the next tick."""
        self._paused = True
        for listener in self._listeners:
            listener.pause()

    def drain(self) -> None:
        """Accept no more, and stop when the sessions have ended or their time is up."""
        if self._drain_until is None:
            self._drain_until = self.loop.now + self.options.timeouts.drain
            for listener in self._listeners:
                listener.close()
            self._listeners.clear()
            self._check_drained()

    @staticmethod
    def candidate(address: Address) -> Candidate:
        """An IP address as the resolver would give it."""
        return (AF_INET if address.type is AddressType.IPV4 else AF_INET6), address.host

    def _tick(self) -> None:
        now = self.loop.now
        if now >= self._next_sweep:
            self._next_sweep = now + self._sweep_seconds
            for session in tuple(self._sessions):
                session.check_timeout(now)
        self.log.flush()
        if self._paused and len(self._sessions) < self._most_sessions:
            self._paused = False
            for listener in self._listeners:
                listener.resume()
        self._check_drained()

    def _check_drained(self) -> None:
        if self._drain_until is None:
            return
        if self.loop.now >= self._drain_until:
            for session in tuple(self._sessions):
                session.end("proxy stopped", reset=True)
        if not self._sessions:
            self.loop.stop()


class Stop:
    """Makes a worker drain: the handler of SIGTERM, and of the supervisor's lifeline.

    That is a pipe to which nobody writes: it ends when the supervisor does, however that came about.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def ready(self, _mask: int) -> None:
        self._worker.drain()

    def crashed(self, error: Exception) -> None:
        raise error
