"""One client, from accept to the line in the log."""

from __future__ import annotations

from enum import Enum, auto
from errno import ETIMEDOUT
from select import EPOLLERR, EPOLLHUP
from socket import IPPROTO_TCP, SO_LINGER, SOL_SOCKET, TCP_NODELAY, SocketType
from struct import pack
from time import time
from typing import TYPE_CHECKING, Any, Protocol

from codec.address import ANY_IPV4, Address
from codec.command import Command
from codec.reply import ReplyCode
from codec.socks6.option_list import Options
from codec.socks6.stack import Leg
from proxy.answer import Answer
from proxy.bind import Bind
from proxy.connecting import Connecting
from proxy.handshake import Handshake
from proxy.log import Record
from proxy.mptcp import IPPROTO_MPTCP
from proxy.redirect import Redirected
from proxy.relay import READABLE, Flow
from proxy.socks5_association import Socks5Association
from proxy.socks6_association import Socks6Association
from proxy.stack import NO_WISHES, Wishes, apply, wishes_of
from proxy.stack import answers as answers_of
from proxy.via import ViaHandshake

if TYPE_CHECKING:
    from codec.socks6.sessions import Session as Socks6Session
    from proxy.listener import Listener
    from proxy.worker import Worker

_CLOSE_WITH_RESET = pack("ii", 1, 0)


class Stage(Enum):
    """How far a session is; each has its own timeout."""

    HANDSHAKE = auto()
    CONNECTING = auto()
    SERVING = auto()
    """A BIND waits for its peer, or a UDP association is there."""
    RELAYING = auto()
    OVER = auto()


class Front(Protocol):
    """The client's side: what a client is told."""

    def connected(self, remote: SocketType, answers: Options, /) -> bool: ...
    def refused(self, code: ReplyCode, /) -> None: ...
    def early_data(self) -> bytes: ...


class Reach(Protocol):
    """Something under way towards the remote host."""

    def expired(self) -> None: ...
    def cancel(self) -> None: ...


class Service(Protocol):
    """What a client has in the place of a connection, and the handler of its events."""

    @property
    def octets(self) -> tuple[int, int]:
        """Up and down."""

    def ready(self, mask: int, /) -> None: ...
    def crashed(self, error: Exception, /) -> None: ...
    def check_timeout(self, now: float, /) -> None: ...
    def cancel(self) -> None: ...


class Session:
    """Holds what the stages share. It handles the client's events itself while the remote host is being reached."""

    __slots__ = (
        "_down", "_down_counted", "_reach", "_remote", "_requested", "_service", "_started",
        "_up", "_up_counted", "_wishes", "client", "client_events", "command", "destination", "front", "multipath",
        "peer", "port", "protocol", "socks6_session", "stage", "user", "waiting_since", "worker",
    )  # fmt: skip

    _up: Flow
    _down: Flow

    def __init__(self, worker: Worker, client: SocketType, peer: tuple[Any, ...]) -> None:
        self.worker = worker
        self.client = client
        self.front: Front | None = None
        """None again once the relay runs: an idle connection keeps no more than it needs."""
        self.peer = peer
        self.stage = Stage.HANDSHAKE
        self.protocol = "unknown"
        self.user: str | None = None
        self.socks6_session: Socks6Session | None = None
        self.command: int = Command.CONNECT
        self.destination: Address | None = None
        self.port = 0
        self._wishes = NO_WISHES
        self.multipath = False
        self.client_events = 0
        """What happened to the client while nobody read from it."""
        self.waiting_since = self._started = self._requested = worker.loop.now
        self._reach: Reach | None = None
        self._service: Service | None = None
        self._remote: SocketType | None = None
        self._up_counted = self._down_counted = 0
        """Octets relayed at the last sweep."""

    @property
    def is_over(self) -> bool:
        return self.stage is Stage.OVER

    def begin_socks(self, listener: Listener, octets: bytes = b"") -> None:
        """Wait for a SOCKS request, or go on where another worker left off: `octets` have come already."""
        front = Handshake(self, listener)
        self.front = front
        self.worker.loop.add(self.client.fileno(), front)
        if octets:
            front.received(octets)

    def begin_redirected(self) -> None:
        """Go on to where the packet filter took the client from."""
        front = Redirected(self)
        self.front = front
        self.worker.loop.add(self.client.fileno(), self)
        self.worker.loop.again(front)

    def perform(self, options: Options) -> None:
        """Do what the client asks for; `options` are those of a SOCKSv6 request."""
        self._requested = self.worker.loop.now
        self.worker.counters.requested(self._requested - self._started)
        wishes = self._wishes = wishes_of(options)
        if self.command == Command.CONNECT:
            self.connect()
        elif self.command == Command.NOOP and self.protocol == "socks6":
            assert self.front is not None
            self.worker.counters.replied(ReplyCode.SUCCEEDED)
            self.front.refused(ReplyCode.SUCCEEDED)
            self.end("noop")
        elif self.command == Command.BIND:
            Bind(self, self._handshake(), wishes).begin()
        elif self.command == Command.UDP_ASSOCIATE and self.protocol != "socks4":
            self._associate(wishes)
        else:
            self.refuse(ReplyCode.COMMAND_NOT_SUPPORTED)

    def serve(self, service: Service) -> None:
        """Leave the client to what it has in the place of a connection."""
        self.stage = Stage.SERVING
        self.waiting_since = self.worker.loop.now
        self._service = service
        self.worker.loop.handlers[self.client.fileno()] = service

    def given_away(self) -> None:
        """Another worker has the client now, and will tell its end."""
        self.stage = Stage.OVER
        # Closing does not end the kernel's watch: the other worker's copy keeps the connection open.
        self.worker.loop.remove(self.client.fileno())
        self.worker.loop.bury(self.client)
        self.worker.counters.given_away()
        self.worker.ended(self)
        self.front = None

    def connect(self) -> None:
        """Reach the destination, or the proxy that is to do it."""
        destination, front = self.destination, self.front
        assert destination is not None
        assert front is not None
        self.stage = Stage.CONNECTING
        self.waiting_since = self.worker.loop.now
        self.worker.loop.handlers[self.client.fileno()] = self
        connecting = self._reach = Connecting(self, front, destination, self._wishes)
        connecting.begin()

    def go_on(self, handshake: ViaHandshake, mask: int) -> None:
        """The next proxy is reached: tell it where to go."""
        self._reach = handshake
        handshake.begin(mask)

    def _handshake(self) -> Handshake:
        assert isinstance(self.front, Handshake)
        return self.front

    def _associate(self, wishes: Wishes) -> None:
        front = self._handshake()
        if not self.worker.policy.may_ask(self.peer[0], self.user, Command.UDP_ASSOCIATE):
            self.refuse(ReplyCode.NOT_ALLOWED)
        elif front.spoken is None:
            Socks5Association(self).begin(front)
        else:
            Socks6Association(self, front.spoken.version).begin(front, wishes)

    def client_leg(self) -> Options:
        """Do to the client's connection what was wished for it, and say how that came out."""
        apply(self.client, self._wishes.client)
        return answers_of(self.client, self._wishes.client, Leg.CLIENT_PROXY)

    def connected(
        self,
        remote: SocketType,
        mask: int,
        *,
        multipath: bool,
        answers: Options = (),
        sent: int = 0,
        unsent: bytes | None = None,
        early: bytes = b"",
    ) -> None:
        """The remote host is there: tell the client, and relay.

        Of what came from the client, so many octets are `sent`, and `unsent` is to go first: None, if it is still with
        the front. `early` is what the remote host has sent already.
        """
        self.stage = Stage.RELAYING
        self._reach = self._service = None
        self._remote = remote
        self.multipath = multipath
        counters = self.worker.counters
        if self.command == Command.CONNECT:
            waited = self.worker.loop.now - self._requested
            counters.connected(waited, asked=remote.proto == IPPROTO_MPTCP, got=multipath)
        counters.replied(ReplyCode.SUCCEEDED)
        remote.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        up = self._up = Flow(self, self.client, remote)
        down = self._down = Flow(self, remote, self.client)
        up.back, down.back = down, up
        up.octets = sent
        handlers = self.worker.loop.handlers
        handlers[self.client.fileno()] = up
        handlers[remote.fileno()] = down
        front, self.front = self.front, None
        assert front is not None
        if sent or unsent:
            assert isinstance(front, Handshake)
            self.worker.loop.again(Answer(front, down, answers, mask))
            mask = 0  # nothing goes down before the answer
        elif not front.connected(remote, answers):
            self.end("client reset", reset=True)
            return
        if data := front.early_data() if unsent is None else unsent:
            up.offer(data)
        if early:
            down.offer(early)
        if self.client_events & READABLE and not up.blocked:
            up.pump(thorough=True)
        if (mask & READABLE or early) and not down.blocked:
            down.pump(thorough=True)

    def refuse(self, code: ReplyCode) -> None:
        """Tell the client that it cannot have what it wants."""
        self.worker.counters.replied(code)
        if self.front is not None:
            self.front.refused(code)
        self.end(f"refused: {code.name.lower().replace('_', ' ')}")

    def ready(self, mask: int) -> None:
        """Client events while connecting: kept for the relay, unless the client has gone."""
        self.client_events |= mask
        if mask & (EPOLLERR | EPOLLHUP):
            self.end("client reset")

    def crashed(self, error: Exception) -> None:
        """A defect of ours: end this session, and leave a trace."""
        self.worker.log.defect(error)
        self.end("defect", reset=True)

    def broken(self, sock: SocketType, error: int | None) -> None:
        """A side was reset, or timed out: pass it on as a reset."""
        side = "client" if sock is self.client else "remote"
        self.end(f"{side} {'timed out' if error == ETIMEDOUT else 'reset'}", reset=True)

    def check_timeout(self, now: float) -> None:
        """Called by the worker's sweep, so that the relay need not note the time of every message."""
        timeouts = self.worker.options.timeouts
        waited = now - self.waiting_since
        if self.stage is Stage.RELAYING:
            up, down = self._up, self._down
            if up.octets != self._up_counted or down.octets != self._down_counted:
                self._count(up.octets, down.octets)
                self.waiting_since = now
            elif waited > (timeouts.half_closed if up.ended or down.ended else timeouts.idle):
                self.end("idle", reset=True)
        elif self.stage is Stage.CONNECTING and waited > timeouts.connect:
            assert self._reach is not None
            self._reach.expired()
        elif self._service is not None:
            self._count(*self._service.octets)
            self._service.check_timeout(now)
        elif self.stage is Stage.HANDSHAKE and waited > timeouts.handshake:
            self.end("handshake timed out")

    def reset_client(self) -> None:
        """Make closing the client's socket send a reset."""
        self.client.setsockopt(SOL_SOCKET, SO_LINGER, _CLOSE_WITH_RESET)

    def end(self, reason: str, *, reset: bool = False) -> None:
        """Close both sides, with RST if `reset`, and log. Safe to call again."""
        if self.stage is Stage.OVER:
            return
        worker, relayed = self.worker, self.stage is Stage.RELAYING
        record = self.record(reason)
        self.stage = Stage.OVER
        if reset:
            self.reset_client()
        worker.loop.bury(self.client)
        if self._remote is not None:
            if reset:
                self._remote.setsockopt(SOL_SOCKET, SO_LINGER, _CLOSE_WITH_RESET)
            worker.loop.bury(self._remote)
        if self._reach is not None:
            self._reach.cancel()
        if self._service is not None:
            self._service.cancel()
        worker.ended(self)
        worker.log.add(record)
        worker.counters.ended(self.protocol, reason)
        # No reference cycle is left behind, so memory is freed now rather than by the collector.
        self.front = self._reach = self._service = None
        self._count(record.up, record.down)
        if relayed:
            self._up.release()
            self._down.release()
            del self._up, self._down

    def record(self, reason: str) -> Record:
        """How it went, or goes; `reason` is why it ended."""
        destination = self.destination or ANY_IPV4
        up = down = 0
        if self.stage is Stage.RELAYING:
            up, down = self._up.octets, self._down.octets
        elif self._service is not None:
            up, down = self._service.octets
        return Record(
            time(), self.peer, self.protocol, destination.host if self.destination else "", self.port, self.multipath,
            up, down, self.worker.loop.now - self._started, reason, self.user,
            self.command if self.destination else None,
        )  # fmt: skip

    def _count(self, up: int, down: int) -> None:
        self.worker.counters.relayed(up - self._up_counted, down - self._down_counted)
        self._up_counted, self._down_counted = up, down
