"""One process of the proxy: its loop, its listeners, its sessions."""

from __future__ import annotations

import gc
import os
import resource
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple
from select import EPOLLIN
from socket import SocketType
from time import time
from typing import TYPE_CHECKING, Any

from codec.socks6.sessions import Limits, SessionTable, random_id
from proxy.channel import Channel, Ends
from proxy.control import Control
from proxy.door import Door
from proxy.failures import Failures
from proxy.listener import Listener
from proxy.log import Log, Record
from proxy.loop import Loop
from proxy.metrics import Counters
from proxy.mptcp import OutwardSockets
from proxy.nameserver import nameserver
from proxy.options import Listen, Mode, Options
from proxy.pipes import PipePool
from proxy.plain import DESCRIPTORS as TLS_DESCRIPTORS
from proxy.resolver import Resolver
from proxy.rules import Policy, clients_within
from proxy.session import Session
from proxy.udp_entrance import Entrance
from proxy.udp_ports import Ports
from proxy.users import Users
from proxy.verifier import Verifier

if TYPE_CHECKING:
    from ssl import SSLContext

    from proxy.tls import Termination

TICK_SECONDS = 0.1
"""How late a log line may be."""
SWEEP_SECONDS = 0.5
"""How late a timeout may be; less when a timeout is that short itself."""
RESERVED_DESCRIPTORS = 64
"""For listeners, epoll, the log and the resolver's own sockets; with few descriptors in all, fewer."""
LEAST_RESERVED = 24
MOST_PIPES = 64


class Worker:
    """What the sessions of one process share."""

    def __init__(
        self,
        options: Options,
        listening: Sequence[tuple[Listen, SocketType]],
        slot: int = 0,
        ends: list[Ends] | None = None,
        *,
        counters: Counters | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        """Raises StartError."""
        self.options = options
        self.counters = counters or Counters()
        self.accepts_no_more: Callable[[], None] = lambda: None
        """Called once, when the listeners are closed."""
        self.loop = Loop(tick_seconds=TICK_SECONDS, on_tick=self._tick)
        self._sweep_seconds = min(SWEEP_SECONDS, min(astuple(options.timeouts)) / 4)
        self._next_sweep = 0.0
        self.log = Log(options.operations.log)
        self.nameserver = nameserver(options.outward.nameserver)
        self.resolver = Resolver(self.loop, options.timeouts)
        self.sockets = OutwardSockets(multipath=options.outward.mptcp, sources=options.outward.sources)
        self.policy = Policy(options.rules, options.outward)
        self.may_use = clients_within(options.clients.networks)
        self.channel = Channel(slot, ends or [Ends.make()], self.loop, self)
        self.sessions = SessionTable(
            Limits(
                sessions=options.limits.sessions, idle=options.timeouts.session, largest_window=options.limits.window
            ),
            new_id=lambda: bytes((slot,)) + random_id()[1:],
        )
        self.verifier = Verifier(self.loop, Users.load(options.clients.users)) if options.clients.users else None
        self.failures = Failures(options.clients.failures_per_minute)
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        pipes = min(MOST_PIPES, descriptors // 16)
        self.pipes = PipePool(pipes)
        each = 1 + (TLS_DESCRIPTORS if any(one.tls for one in options.listen) else 1)
        reserved = min(RESERVED_DESCRIPTORS, max(LEAST_RESERVED, descriptors // 8))
        most = max(1, (descriptors - reserved - 2 * pipes) // each)
        self._most_connections = min(most, options.limits.connections or most)
        self._connections: set[Session] = set()
        self._tls = tls
        self._terminations: set[Termination] = set()
        self._clients: Counter[str] = Counter()
        """Connections by client address, while there is a limit on them."""
        self._paused = False
        self._drain_until: float | None = None
        self._listeners = [Listener(self, sock, listen) for listen, sock in listening]
        self.own_endpoints = frozenset(sock.getsockname()[:2] for _, sock in listening)
        """Addresses and ports."""
        for listener in self._listeners:
            listener.resume()
        folder = options.operations.control
        self.doors: dict[tuple[bytes, str, int], Door] = {}
        """Those that take more than one peer, by the session that opened them, and the address and port it was told."""
        self.ports = Ports()
        self.entrance = Entrance(self, listening if options.mode is Mode.SERVE else ())
        self._control = Control(folder, self.loop, self.log, self._connections) if folder is not None else None

    def run(self, lifeline: int) -> None:
        """Serve until SIGTERM, or until the supervisor's end of `lifeline` closes; then drain."""
        self.loop.add(lifeline, Stop(self), EPOLLIN)
        # What lives now lives for ever: the collector need not look at it again.
        gc.freeze()
        prefer_throughput()
        self.loop.run()
        if self._control is not None:
            self._control.close()
        self.log.close()
        self.counters.publish()

    def admit(self, client: SocketType, peer: tuple[Any, ...], listener: Listener) -> bool:
        """Take a client, if it may use the proxy. False when no more are to be accepted for now."""
        self.counters.accepted()
        if not self.may_use(peer[0]):
            self._turn_away(client, peer, "client not allowed")
            return True
        if self._has_enough(peer[0]):
            self._turn_away(client, peer, "too many connections from this client")
            return True
        try:
            termination = self._terminate(client) if listener.tls else None
        except OSError:
            self._turn_away(client, peer, "no descriptors left")
            self.pause_accepting()
            return False
        session = self._session(termination.plain if termination else client, peer)
        if self.options.mode is Mode.SERVE:
            session.begin_socks(listener)
            if termination is not None:
                termination.begin(session.end)
        else:
            session.begin_redirected()
        self._pause_when_full()
        return not self._paused

    def hand_over(self, owner: int, session: Session, listener: Listener, octets: bytes) -> bool:
        """Give a client to the worker that has its SOCKSv6 session, with what it has sent; whether it took it."""
        message = {"peer": session.peer, "listener": self._listeners.index(listener)}
        return self.channel.send(owner, message, octets, session.client)

    def wrong_password(self, host: str) -> None:
        """Count it against the address that it came from, here and in the other workers."""
        now = self.loop.now
        self.counters.wrong_password()
        if not self.failures.refused(host, now):  # else the others refuse it already, too
            self.channel.tell_others({"failed": host})
        self.failures.add(host, now)

    def take_over(self, message: dict[str, Any], octets: bytes, sock: SocketType | None) -> None:
        """A client whose SOCKSv6 session belongs here, a datagram whose association does, or news of a failure."""
        if "failed" in message:
            self.failures.add(message["failed"], self.loop.now)
            return
        if sock is None:
            self.entrance.take_over(message, octets)
            return
        self.counters.accepted()
        peer = tuple(message["peer"])
        if not self._listeners:
            self._turn_away(sock, peer, "proxy stopped")
        elif self._paused:  # and there is no queue to wait in: it has left the kernel's
            self._turn_away(sock, peer, "too many connections")
        elif self._has_enough(peer[0]):
            self._turn_away(sock, peer, "too many connections from this client")
        else:
            session = self._session(sock, peer)
            try:
                session.begin_socks(self._listeners[message["listener"]], octets)
            except Exception as error:  # noqa: BLE001 -- a defect met by one client must not end all the others
                session.crashed(error)
            self._pause_when_full()

    def could_not_take_over(self, message: dict[str, Any]) -> None:
        """A client whose SOCKSv6 session belongs here, when there are no descriptors left: it has been closed."""
        self.counters.accepted()
        self._turned_away(tuple(message["peer"]), "no descriptors left")
        self.pause_accepting()

    def terminated(self, termination: Termination) -> None:
        """A client's TLS is over."""
        self._terminations.discard(termination)

    def ended(self, session: Session) -> None:
        """Forget a session."""
        self._connections.discard(session)
        if self.options.limits.connections_per_client:
            self._clients[session.peer[0]] -= 1
            if not self._clients[session.peer[0]]:
                del self._clients[session.peer[0]]

    def _has_enough(self, host: str) -> bool:
        """Whether this client may have no more connections."""
        most = self.options.limits.connections_per_client
        return bool(most) and self._clients[host] >= most

    def _pause_when_full(self) -> None:
        if len(self._connections) >= self._most_connections:
            self.pause_accepting()

    def _session(self, client: SocketType, peer: tuple[Any, ...]) -> Session:
        session = Session(self, client, peer)
        self._connections.add(session)
        if self.options.limits.connections_per_client:
            self._clients[peer[0]] += 1
        return session

    def _terminate(self, client: SocketType) -> Termination:
        from proxy.tls import Termination  # with ssl: 1 MiB that few workers need

        assert self._tls is not None
        termination = Termination(self, client, self._tls, self.options.timeouts.half_closed)
        self._terminations.add(termination)
        return termination

    def _turn_away(self, client: SocketType, peer: tuple[Any, ...], why: str) -> None:
        client.close()
        self._turned_away(peer, why)

    def _turned_away(self, peer: tuple[Any, ...], why: str) -> None:
        self.log.add(Record(time(), peer, "unknown", "", 0, False, 0, 0, 0.0, why))
        self.counters.ended("unknown", why)

    def pause_accepting(self) -> None:
        """No descriptors for more: go on with the sessions there are, and look again at the next tick."""
        self._paused = True
        for listener in self._listeners:
            listener.pause()

    def drain(self, seconds: float) -> None:
        """Accept no more, and stop when the sessions have ended or the time is up."""
        until = self.loop.now + seconds
        if self._drain_until is None:
            self._drain_until = until
            for listener in self._listeners:
                listener.close()
            self._listeners.clear()
            self.entrance.close()
            self.accepts_no_more()
        self._drain_until = min(self._drain_until, until)
        self._check_drained()

    def _tick(self) -> None:
        now = self.loop.now
        if now >= self._next_sweep:
            self._next_sweep = now + self._sweep_seconds
            for session in tuple(self._connections):
                session.check_timeout(now)
        if self.log.dropped:
            self.counters.lines_dropped(self.log.dropped)
        # Before the log: what it tells has been counted.
        self.counters.publish()
        self.log.flush()
        if self._paused and len(self._connections) < self._most_connections:
            self._paused = False
            for listener in self._listeners:
                listener.resume()
        self._check_drained()

    def _check_drained(self) -> None:
        if self._drain_until is None:
            return
        if self.loop.now >= self._drain_until:
            for session in tuple(self._connections):
                session.end("proxy stopped", reset=True)
            for termination in tuple(self._terminations):
                termination.cut()
        if not self._connections and not self._terminations:
            self.loop.stop()


def prefer_throughput() -> None:
    """Interrupt nobody when events come (sched(7), SCHED_BATCH): a turn of the loop then finds more of them.

    Where a sandbox forbids it, it is left to the service manager (CPUSchedulingPolicy=batch).
    """
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class Stop:
    """Makes a worker drain: the handler of signals, and of the supervisor's lifeline.

    That is a pipe to which nobody writes: it ends when the supervisor does, however that came about.
    """

    def __init__(self, worker: Worker, *, retire: bool = False) -> None:
        self._worker = worker
        self._seconds = float("inf") if retire else worker.options.timeouts.drain
        """A worker that a reload replaces may take all the time that its clients want."""

    def ready(self, _mask: int) -> None:
        self._worker.drain(self._seconds)

    def crashed(self, error: Exception) -> None:
        raise error
