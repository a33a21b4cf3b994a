"""Connecting outward: the ways to a destination one after the other, or racing (RFC 8305), until one gets through."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from math import inf
from select import EPOLLERR, EPOLLHUP
from socket import (
    IP_BIND_ADDRESS_NO_PORT,
    IPPROTO_IP,
    IPPROTO_TCP,
    MSG_FASTOPEN,
    MSG_NOSIGNAL,
    SO_ERROR,
    SOL_SOCKET,
    TCP_QUICKACK,
    SocketType,
)
from typing import Protocol

from codec.reply import ReplyCode
from codec.socks6.stack import StackOption
from proxy.loop import Loop
from proxy.mptcp import IPPROTO_MPTCP, OutwardSockets
from proxy.options import Options
from proxy.outcome import keep_icmp, most_telling, reply_code, ttl_expired
from proxy.resolver import Candidate
from proxy.stack import NO_WISHES, Wishes, apply, connect_answers
from proxy.ways import Way, Ways

MOST_AT_ONCE = 6
"""Sockets that race for one client."""

_UNDER_WAY = (0, errno.EINPROGRESS)
_NOT_BY_THE_HOST = frozenset(
    (errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.EADDRNOTAVAIL)
)
"""These may be due to where the packets left this host."""


class Shared(Protocol):
    """What the connections of a process share: the worker."""

    @property
    def loop(self) -> Loop: ...
    @property
    def sockets(self) -> OutwardSockets: ...
    @property
    def options(self) -> Options: ...


class Client(Protocol):
    """For whom a remote host is reached: the session."""

    waiting_since: float
    """Set to the loop's time whenever another way begins."""

    @property
    def worker(self) -> Shared: ...

    def reached(self, remote: SocketType, mask: int, /) -> None:
        """Connected; the loop still watches the socket, and `mask` is what has happened to it."""

    def refuse(self, code: ReplyCode, /) -> None:
        """No way led there. May be called before `Attempt.begin` returns."""

    def crashed(self, error: Exception, /) -> None: ...


class Try:
    """A socket that is being connected, and the handler of its events."""

    __slots__ = ("_attempt", "in_syn", "socket", "way")

    def __init__(self, attempt: Attempt, way: Way, sock: SocketType, in_syn: int) -> None:
        self._attempt = attempt
        self.way = way
        self.socket = sock
        self.in_syn = in_syn

    def ready(self, mask: int) -> None:
        if mask & (EPOLLERR | EPOLLHUP) and (error := self.socket.getsockopt(SOL_SOCKET, SO_ERROR)):
            self._attempt.failed(self, error)
        else:
            self._attempt.connected(self, mask)

    def crashed(self, error: Exception) -> None:
        self._attempt.crashed(error)


class Attempt:
    """All that is tried for one client, and the handler of the timer that begins the next way beside the others.

    Tells the client `reached` or, with the outcome that says most, `refuse`.
    """

    __slots__ = (
        "_by_name", "_client", "_code", "_data_follow", "_due", "_early", "_port", "_tries", "_ways", "_wishes",
        "in_syn", "raced",
    )  # fmt: skip

    def __init__(
        self,
        client: Client,
        candidates: Sequence[Candidate],
        port: int,
        *,
        wishes: Wishes = NO_WISHES,
        by_name: bool = False,
        early: bytes = b"",
    ) -> None:
        """`candidates` are in the order of preference; `by_name`: they are what a name resolved to.

        `early` is what the client has sent already: with TCP Fast Open the SYN carries some of it.
        """
        worker = client.worker
        self.raced = by_name and wishes.happy_eyeballs is not False
        """Whether Happy Eyeballs is in force."""
        self.in_syn = 0
        """Octets of `early` that the connection has taken already; known when `reached`."""
        self._by_name = by_name
        self._client = client
        self._code = ReplyCode.GENERAL_FAILURE
        self._due = inf
        self._early = early if wishes.fast_open is not None else b""
        self._data_follow = bool(early)
        self._port = port
        self._tries: list[Try] = []
        delay = worker.options.outward.happy_eyeballs_delay if self.raced else None
        self._ways = Ways(candidates, delay=delay, sources=worker.sockets.sources)
        self._wishes = wishes

    def begin(self) -> None:
        """Begin the next way, passing over those that fail at once; refuse when all have failed."""
        now = self._client.worker.loop.now
        while way := self._ways.take(now):
            if not (way.source and self._is_under_way(way)) and self._begin(way):
                self._set_timer(now)
                return
        if not self._tries:
            self._client.refuse(self._code)

    def answers(self, remote: SocketType, *, multipath: bool) -> tuple[StackOption, ...]:
        """The stack options of the operation reply, for the remote leg."""
        raced = self.raced if self._by_name else None
        return connect_answers(remote, self._wishes, multipath=multipath, in_syn=self.in_syn, raced=raced)

    def ready(self, _mask: int) -> None:
        """A timer: the next way is due, unless this is one of the timers that events have overtaken."""
        if self._due <= self._client.worker.loop.now:
            self.begin()

    def connected(self, one: Try, mask: int) -> None:
        """The first to get through wins."""
        self._tries.remove(one)
        self.cancel()
        self.in_syn = one.in_syn
        worker = self._client.worker
        if worker.sockets.sources.are_given:
            worker.sockets.sources.got_through(one.way.family, one.way.source, worker.loop.now)
        if self._wishes.remote.ttl:
            keep_icmp(one.socket, keep=False)
        # Still ours to close, if a defect keeps the client from taking it.
        self._tries.append(one)
        self._client.reached(one.socket, mask)
        self._tries.clear()

    def failed(self, one: Try, error: int) -> None:
        """The next way need not wait any more."""
        self._give_up(one, error)
        self.begin()

    def crashed(self, error: Exception) -> None:
        self._client.crashed(error)

    def expired(self) -> None:
        """All that is under way has taken too long."""
        for one in tuple(self._tries):
            self._give_up(one, errno.ETIMEDOUT)
        self.begin()

    def cancel(self) -> None:
        """Nothing more is to be tried: the client has gone, or has been served."""
        self._due = inf
        self._ways.clear()
        for one in self._tries:
            self._client.worker.loop.bury(one.socket)
        self._tries.clear()

    def _begin(self, way: Way) -> bool:
        """Whether the way is under way now."""
        client, wishes = self._client, self._wishes
        worker = client.worker
        sock = None
        in_syn = 0
        try:
            sock = worker.sockets.open(way.family, multipath=wishes is NO_WISHES or wishes.allow_multipath(way.family))
            if wishes is not NO_WISHES or way.source:
                self._prepare(sock, way.source)
            if self._early:
                error, in_syn = self._fast_open(sock, way.host)
            else:
                if self._data_follow and sock.proto != IPPROTO_MPTCP:
                    # The last segment of the handshake waits for them, and is no segment of its own.
                    sock.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 0)
                error = sock.connect_ex((way.host, self._port))
        except OSError as problem:
            error = problem.errno or errno.EINVAL
        if sock is not None and error in _UNDER_WAY:
            one = Try(self, way, sock, in_syn)
            self._tries.append(one)
            client.waiting_since = worker.loop.now
            worker.loop.add(sock.fileno(), one)
            return True
        self._note(way, reply_code(error), error)
        if sock is not None:
            sock.close()
        return False

    def _prepare(self, sock: SocketType, source: str) -> None:
        wishes = self._wishes.remote
        apply(sock, wishes)
        if wishes.ttl:
            keep_icmp(sock, keep=True)
        if source:
            # Otherwise `bind` picks a port that no connection of this address uses, whatever its destination.
            sock.setsockopt(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))

    def _fast_open(self, sock: SocketType, host: str) -> tuple[int, int]:
        """Connect with data in the SYN (RFC 7413): the errno, and how many octets it carries. Raises OSError."""
        address = host, self._port
        try:
            in_syn = sock.sendto(self._early[: self._wishes.fast_open or None], MSG_FASTOPEN | MSG_NOSIGNAL, address)
        except BlockingIOError:
            # The kernel has no cookie of that host yet: the SYN asks for one, and carries nothing.
            return errno.EINPROGRESS, 0
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return sock.connect_ex(address), 0
            raise
        # No other SYN carries them: while this one may have been heard, they would reach two hosts.
        self._early = b""
        return errno.EINPROGRESS, in_syn

    def _is_under_way(self, way: Way) -> bool:
        """Whether the source is the one that the routes gave by themselves."""
        return any(one.way.host == way.host and one.socket.getsockname()[0] == way.source for one in self._tries)

    def _set_timer(self, now: float) -> None:
        """For the next way, if it is to begin beside those under way."""
        due = self._ways.due(now) if len(self._tries) < MOST_AT_ONCE else None
        if due is None:
            self._due = inf
        else:
            self._due = due
            self._client.worker.loop.call_at(due, self)

    def _give_up(self, one: Try, error: int) -> None:
        expired = bool(self._wishes.remote.ttl) and error == errno.EHOSTUNREACH and ttl_expired(one.socket)
        self._note(one.way, ReplyCode.TTL_EXPIRED if expired else reply_code(error), error)
        self._tries.remove(one)
        self._client.worker.loop.bury(one.socket)

    def _note(self, way: Way, code: ReplyCode, error: int) -> None:
        """A way has failed."""
        self._code = most_telling(self._code, code)
        if error not in _NOT_BY_THE_HOST:
            self._ways.leave_out(way.host)
