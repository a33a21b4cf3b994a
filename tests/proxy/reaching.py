"""The connection attempts of `proxy.outward` on a real loop, for a client that only keeps what it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from codec.reply import ReplyCode
from proxy.loop import Loop
from proxy.mptcp import OutwardSockets
from proxy.options import Clients, Mode, Options, Outward
from proxy.outward import Attempt
from proxy.resolver import Candidate
from proxy.stack import NO_WISHES
from tests.proxy.running import PATIENCE


@dataclass
class Worker:
    """What an attempt needs of a worker."""

    loop: Loop
    sockets: OutwardSockets
    options: Options


@dataclass(eq=False)
class Client:
    """Stops the loop when it has been told the outcome, or when that does not come."""

    worker: Worker
    waiting_since: float = 0.0
    remote: Any = None
    mask: int = 0
    code: ReplyCode | None = None
    error: Exception | None = None

    def reached(self, remote: Any, mask: int) -> None:
        self.remote, self.mask = remote, mask
        self.worker.loop.remove(remote.fileno())
        self.worker.loop.stop()

    def refuse(self, code: ReplyCode) -> None:
        self.code = code
        self.worker.loop.stop()

    def crashed(self, error: Exception) -> None:
        self.error = error
        self.worker.loop.stop()


@dataclass(eq=False)
class At:
    """Calls a function when a timer is due."""

    action: Callable[[], object]

    def ready(self, _mask: int) -> None:
        self.action()

    def crashed(self, error: Exception) -> None:
        raise error


@dataclass
class Reaching:
    """An attempt, and those for whom it is made."""

    outward: Outward
    sockets: OutwardSockets
    attempt: Attempt = field(init=False)

    def __post_init__(self) -> None:
        loop = Loop(tick_seconds=PATIENCE, on_tick=lambda: loop.stop())  # noqa: PLW0108 -- it has no name yet
        options = Options(Mode.SERVE, (), Clients(), outward=self.outward)
        self.client = Client(Worker(loop, self.sockets, options))
        self._quiet = len(loop.handlers)

    @property
    def loop(self) -> Loop:
        return self.client.worker.loop

    @property
    def under_way(self) -> int:
        """Sockets that are being connected."""
        return len(self.loop.handlers) - self._quiet

    @property
    def peer(self) -> str | ReplyCode | None:
        """The address that was reached, or why none was."""
        remote = self.client.remote
        return self.client.code if remote is None else str(remote.getpeername()[0])

    def prepare(self, candidates: Sequence[Candidate], port: int, **given: Any) -> Attempt:
        self.attempt = Attempt(self.client, candidates, port, **{"wishes": NO_WISHES, **given})
        return self.attempt

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        self.loop.call_at(self.loop.now + seconds, At(action))

    def run(self) -> str | ReplyCode | None:
        """Begin, and wait for the outcome."""
        self.attempt.begin()
        self.loop.run()
        return self.peer

    def close(self) -> None:
        self.attempt.cancel()
        if self.client.remote is not None:
            self.client.remote.close()
        self.loop.stop()
        self.loop.run()
        self.loop.close()


@contextmanager
def reaching(
    outward: Outward | None = None, *, multipath: bool = False, sockets: OutwardSockets | None = None
) -> Iterator[Reaching]:
    """Everything is closed at the end."""
    outward = outward or Outward()
    made = Reaching(outward, sockets or OutwardSockets(multipath=multipath, sources=outward.sources))
    try:
        yield made
    finally:
        made.close()
