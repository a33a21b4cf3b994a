"""What all UDP associations have in common, whichever SOCKS they belong to.

An association has two sides: `proxy.udp_remote` sends to remote hosts and receives from them, and one of
`proxy.socks5_association` and `proxy.socks6_association` does so with the client. Datagrams that cannot be sent on at
once are dropped, as everywhere with UDP, so that none costs memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from socket import MSG_DONTWAIT
from typing import TYPE_CHECKING

from codec.address import Address
from codec.command import Command
from proxy.udp_errors import Fault
from proxy.udp_remote import Remote

if TYPE_CHECKING:
    from proxy.session import Session

LARGEST_READ = 1 << 16
READS_PER_TURN = 8


class Association(ABC):
    """The client's side, and the handler of its TCP connection's events."""

    __slots__ = ("_seen", "datagrams", "down", "remote", "session", "up")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.remote = Remote(self)
        self.up = 0
        """Octets of data sent to remote hosts."""
        self.down = 0
        self.datagrams = 0
        """Both ways: whether it is idle is told by this."""
        self._seen = 0

    @abstractmethod
    def ready(self, mask: int) -> None:
        """Something happened to the TCP connection."""

    def read_connection(self, take: Callable[[bytes], bool]) -> None:
        """Read from the TCP connection until nothing is left, `take` says no, or the session is over."""
        session, client = self.session, self.session.client
        for _ in range(READS_PER_TURN):
            try:
                data = client.recv(LARGEST_READ, MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                session.broken(client, error.errno)
                return
            if not data:
                session.end("closed")
                return
            if not take(data):
                return
        session.worker.loop.again(self)

    @abstractmethod
    def header(self, host: str, port: int) -> bytes:
        """How the client is told where a datagram comes from: all of a header that is the same for all from there."""

    @abstractmethod
    def destination(self, endpoint: bytes) -> tuple[Address, int]:
        """What an address and a port in the client's spelling mean. Raises RemoteProtocolError."""

    @abstractmethod
    def deliver(self, header: bytes, count: int) -> None:
        """Send on to the client what stands in `buffer`: `count` octets behind the headroom."""

    def report(self, fault: Fault) -> None:  # noqa: B027 -- there is nothing in SOCKS 5 to say it with
        """Tell the client that a datagram did not arrive."""

    def crashed(self, error: Exception) -> None:
        self.session.crashed(error)

    @property
    def patience(self) -> float:
        """Seconds without a datagram after which it ends."""
        return self.session.worker.options.timeouts.idle

    @property
    def octets(self) -> tuple[int, int]:
        """Up and down."""
        return self.up, self.down

    def check_timeout(self, now: float) -> None:
        """Called by the worker's sweep."""
        if self.datagrams != self._seen:
            self._seen = self.datagrams
            self.session.waiting_since = now
        elif now - self.session.waiting_since > self.patience:
            self.session.end("idle")

    def cancel(self) -> None:
        """The session is over."""
        self.remote.close()

    def permits(self, name: str | None, host: str, port: int) -> bool:
        """Whether the rules let the client exchange datagrams with this host, which it knows by this name."""
        session = self.session
        return session.worker.policy.decide(
            session.peer[0], session.user, Command.UDP_ASSOCIATE, name=name, address=host, port=port
        )
