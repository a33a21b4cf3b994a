"""Where a client's datagrams go: each destination is judged, and its name looked up, once for many datagrams."""

from __future__ import annotations

from math import inf
from socket import SocketType
from typing import TYPE_CHECKING

from codec.address import AddressType
from codec.errors import RemoteProtocolError
from codec.reply import ReplyCode
from proxy.local_address import source_towards
from proxy.resolver import FAILURE_SECONDS, Candidates, Question, Resolver, candidate

if TYPE_CHECKING:
    from proxy.udp_remote import Remote

MOST_DESTINATIONS = 256
"""Of one association; beyond, the oldest is forgotten, and judged again when it comes back."""
MOST_QUESTIONS = 8
"""Names of one association that are looked up at a time."""
MOST_HELD = 32
"""Datagrams of one association that wait for names."""
MOST_HELD_OCTETS = 1 << 16


class Destination:
    """An address and a port in the client's spelling, and what they came to."""

    __slots__ = ("address", "socket", "until")

    def __init__(self, socket: SocketType | None, address: tuple[str, int], until: float = inf) -> None:
        self.socket = socket
        """None: nothing goes there, or not yet."""
        self.address = address
        self.until = until
        """When it is to be found anew, on the loop's clock."""

    def hold(self, data: memoryview) -> None:
        """A datagram that cannot be sent: dropped."""

    def forget(self) -> None:
        """It is not wanted any more."""


NOWHERE = Destination(None, ("", 0))


class Named(Destination):
    """One given by name: it holds datagrams until the resolver has answered."""

    __slots__ = ("_destinations", "_held", "_name", "_question")

    def __init__(self, destinations: Destinations, name: str, port: int) -> None:
        super().__init__(None, ("", port))
        self._destinations = destinations
        self._name = name
        self._held: list[bytes] | None = []
        """None once it is known whether the name has an address."""
        self._question: Question | None = None

    def ask(self, resolver: Resolver, octets: bytes) -> None:
        """Look the name up; the answer may come before this returns."""
        self._destinations.questions += 1
        question = resolver.ask(octets, self)
        if self._held is not None:
            self._question = question

    def hold(self, data: memoryview) -> None:
        destinations = self._destinations
        if (
            self._held is not None
            and destinations.held < MOST_HELD
            and destinations.held_octets + len(data) <= MOST_HELD_OCTETS
        ):
            destinations.held += 1
            destinations.held_octets += len(data)
            self._held.append(bytes(data))

    def forget(self) -> None:
        if self._question is not None:
            self._question.forget(self)
        self._answered()

    def answered(self, found: Candidates) -> None:
        """Send what was held to the first address that the rules permit and that there is a way to."""
        held, destinations, port = self._answered(), self._destinations, self.address[1]
        remote = destinations.remote
        for _, host in found:
            if remote.association.permits(self._name, host, port) and source_towards(host) is not None:
                self.socket, self.address = remote.socket_for(host), (host, port)
                break
        self.until = destinations.until(found=self.socket is not None)
        if self.socket is not None:
            remote.learn(self.address)
            for data in held:
                remote.transmit(self.socket, self.address, data)

    def unanswered(self, _code: ReplyCode) -> None:
        self._answered()
        self.until = self._destinations.until(found=False)

    def crashed(self, error: Exception) -> None:
        self._destinations.remote.association.crashed(error)

    def _answered(self) -> list[bytes]:
        """Nothing is waited for any more: what was held."""
        held, self._held, self._question = self._held, None, None
        if held is None:
            return []
        destinations = self._destinations
        destinations.questions -= 1
        destinations.held -= len(held)
        destinations.held_octets -= sum(map(len, held))
        return held


class Destinations:
    """All of one association."""

    __slots__ = ("_found", "_resolver", "_seconds", "held", "held_octets", "questions", "remote")

    def __init__(self, remote: Remote, resolver: Resolver, seconds: float) -> None:
        """`seconds` is how long the addresses of a name are used before it is looked up again."""
        self.remote = remote
        self.questions = 0
        self.held = 0
        self.held_octets = 0
        self._resolver = resolver
        self._seconds = seconds
        self._found: dict[bytes, Destination] = {}
        """By the client's spelling, oldest first."""

    def find(self, endpoint: bytes, now: float) -> Destination:
        """The destination that the client spells so."""
        found = self._found.get(endpoint)
        if found is not None and now < found.until:
            return found
        self._found.pop(endpoint, None)
        if len(self._found) >= MOST_DESTINATIONS:
            self._found.pop(next(iter(self._found))).forget()
        return self._look_for(endpoint)

    def until(self, *, found: bool) -> float:
        now: float = self._resolver.loop.now
        return now + (self._seconds if found else min(self._seconds, FAILURE_SECONDS))

    def close(self) -> None:
        for destination in self._found.values():
            destination.forget()
        self._found.clear()

    def _look_for(self, endpoint: bytes) -> Destination:
        association = self.remote.association
        try:
            address, port = association.destination(endpoint)
        except RemoteProtocolError:
            address, port = None, 0
        found: Destination = NOWHERE
        if address is not None and port:
            if address.type is AddressType.DOMAIN_NAME:
                if self.questions >= MOST_QUESTIONS:
                    return NOWHERE  # for this datagram only: a later one may be luckier
                named = self._found[endpoint] = Named(self, address.host, port)
                named.ask(self._resolver, address.name_octets)
                return named
            host = candidate(address.host)[1]
            if association.permits(None, host, port):
                sock = self.remote.socket_for(host)
                found = Destination(sock, (host, port), inf if sock is not None else self.until(found=False))
                self.remote.learn((host, port))
        self._found[endpoint] = found
        return found
