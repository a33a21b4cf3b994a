"""BIND: waiting for a remote host to connect, instead of connecting to it.

In SOCKS 4 and 5 (and SOCKSv6 draft-04) the request names the peer that is expected; zeros: anyone (RFC 1928 section 6).
In SOCKSv6 (draft-11) it names the address and port to listen on; zeros: any. A first reply tells where the proxy
listens, a second one who has come; then it is a relay like any other.

Within a session a listen backlog can be had (draft-11 "Listen Backlog options"): the connection that asked for it holds
the door open and carries nothing, and each further BIND of the session to the address that was told takes one peer.
"""

from __future__ import annotations

from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLRDHUP
from socket import IPPROTO_IPV6, IPV6_V6ONLY, SO_REUSEADDR, SOL_SOCKET, AddressFamily, SocketType
from typing import TYPE_CHECKING

from codec.address import Address, AddressType
from codec.command import Command
from codec.reply import ReplyCode
from codec.socks6.option_list import Options
from codec.socks6.stack import Leg, ListenBacklog, Multipath
from proxy.door import Door
from proxy.local_address import ANY_HOST, family_of, told_host
from proxy.mptcp import IPPROTO_MPTCP, is_multipath
from proxy.outcome import reply_code
from proxy.resolver import Candidates, Question, candidate
from proxy.stack import Wishes, answers, apply
from proxy.udp_ports import check_port

if TYPE_CHECKING:
    from proxy.handshake import Handshake
    from proxy.session import Session

MOST_BACKLOG = 128
"""Peers that wait in the kernel, at most."""
ANYONE: frozenset[str] = frozenset()


class Bind:
    """One client's: what its session waits with, the handler of its events meanwhile, and what tells it of its peer."""

    __slots__ = ("_door", "_expected", "_front", "_key", "_owns_door", "_peer", "_question", "_session", "_wishes")

    def __init__(self, session: Session, front: Handshake, wishes: Wishes) -> None:
        self._session = session
        self._front = front
        self._wishes = wishes
        self._expected = ANYONE
        """Addresses of the peer; empty: whoever the rules permit."""
        self._door: Door | None = None
        self._owns_door = True
        self._key: tuple[bytes, str, int] | None = None
        """By which further requests find the door, if there is a backlog."""
        self._question: Question | None = None
        self._peer = "", 0

    octets = (0, 0)
    """Nothing is relayed while it waits."""

    def begin(self) -> None:
        """Find out who may come, then listen."""
        session, destination = self._session, self._session.destination
        assert destination is not None
        worker, is_name = session.worker, destination.type is AddressType.DOMAIN_NAME
        session.serve(self)
        if not worker.policy.may_ask(session.peer[0], session.user, Command.BIND):
            session.refuse(ReplyCode.NOT_ALLOWED)
        elif self._front.spoken is not None:
            if is_name:
                session.refuse(ReplyCode.ADDRESS_TYPE_NOT_SUPPORTED)
            elif not self._join():
                self._listen(candidate(destination.host)[1], session.port, "")
        elif is_name:
            question = worker.resolver.ask(destination.name_octets, self)
            if self._door is None and not session.is_over:
                self._question = question
        else:
            self._expect((candidate(destination.host),))

    def answered(self, found: Candidates) -> None:
        """The resolver's: the peer that is expected has these addresses."""
        self._question = None
        if found:
            self._expect(found)
        else:
            self._session.refuse(ReplyCode.HOST_UNREACHABLE)

    def unanswered(self, code: ReplyCode) -> None:
        self._question = None
        self._session.refuse(code)

    def ready(self, mask: int) -> None:
        """Client events: what it sends is for its peer, but if it closes, it does not want one any more."""
        self._session.client_events |= mask
        if mask & (EPOLLERR | EPOLLHUP | EPOLLRDHUP):
            self._session.end("client closed before its peer came")

    def crashed(self, error: Exception) -> None:
        self._session.crashed(error)

    def check_timeout(self, now: float) -> None:
        """Called by the worker's sweep."""
        session, door = self._session, self._door
        timeouts = session.worker.options.timeouts
        if self._key is not None and door is not None:
            if now - door.last_use > timeouts.idle:
                session.end("idle")
        elif now - session.waiting_since > timeouts.bind:
            session.refuse(ReplyCode.TIMED_OUT)

    def cancel(self) -> None:
        """The session is over, or has its peer."""
        if self._question is not None:
            self._question.forget(self)
        if self._key is not None:
            del self._session.worker.doors[self._key]
        if self._door is not None:
            self._door.leave(self)
            if self._owns_door:
                self._door.close()

    def expects(self, host: str, port: int) -> bool:
        if self._expected:
            return candidate(host)[1] in self._expected
        session = self._session
        return session.worker.policy.decide(
            session.peer[0], session.user, Command.BIND, name=None, address=host, port=port
        )

    def came(self, peer: SocketType, host: str, port: int) -> None:
        """The second reply, and the relay."""
        session = self._session
        self._peer = host, port
        self.cancel()
        session.front = self
        session.worker.loop.add(peer.fileno(), self)  # for the session to put its own handler there
        apply(peer, self._wishes.remote)
        multipath = is_multipath(peer)
        told = answers(peer, self._wishes.remote, Leg.PROXY_REMOTE)
        if self._wishes.multipath is not None:
            told = (*told, Multipath(Leg.PROXY_REMOTE, multipath))
        session.connected(peer, 0, multipath=multipath, answers=told)

    def closed(self) -> None:
        self._session.refuse(ReplyCode.GENERAL_FAILURE)

    def connected(self, _remote: SocketType, told: Options) -> bool:
        return self._front.granted(Address.of(self._peer[0]), self._peer[1], told)

    def refused(self, code: ReplyCode) -> None:
        self._front.refused(code)

    def early_data(self) -> bytes:
        return self._front.early_data()

    def _expect(self, found: Candidates) -> None:
        """SOCKS 4 and 5: this is the peer. It is judged now, by the port that the client gave (RFC 1928 section 6)."""
        session, destination = self._session, self._session.destination
        assert destination is not None
        name = destination.host if destination.type is AddressType.DOMAIN_NAME else None
        hosts = [host for _, host in found]
        if hosts[0] in ANY_HOST.values():
            self._listen(hosts[0], 0, "")
            return
        permitted = [
            host
            for host in hosts
            if session.worker.policy.decide(
                session.peer[0], session.user, Command.BIND, name=name, address=host, port=session.port
            )
        ]
        if not permitted:
            session.refuse(ReplyCode.NOT_ALLOWED)
            return
        self._expected = frozenset(permitted)
        self._listen(ANY_HOST[family_of(permitted[0])], 0, permitted[0])

    def _join(self) -> bool:
        """Wait at the door that an earlier request of the session holds open, if this is where it leads."""
        session = self._session
        assert session.destination is not None
        if session.socks6_session is None:
            return False
        key = session.socks6_session.id, session.destination.host, session.port
        self._door = session.worker.doors.get(key)
        if self._door is None:
            return False
        self._owns_door = False
        self._wait(Address.of(key[1]), key[2], ())
        return True

    def _listen(self, host: str, port: int, towards: str) -> None:
        """Open a door at the address, and tell which the peer is to come to: the one that `towards` knows us by."""
        session, wishes = self._session, self._wishes
        in_session = session.socks6_session is not None
        backlog = min(wishes.backlog or 0, MOST_BACKLOG) if in_session else 0
        try:
            sock = self._listening_socket(host, port, backlog)
        except OSError as error:
            session.refuse(reply_code(error.errno or 0))
            return
        self._door = Door(session.worker.loop, sock)
        told = told_host(session, host, towards)
        port = sock.getsockname()[1]
        if backlog and session.socks6_session is not None:
            self._key = session.socks6_session.id, told, port
            session.worker.doors[self._key] = self._door
        self._wait(Address.of(told), port, self._answers(sock, backlog))

    def _listening_socket(self, host: str, port: int, backlog: int) -> SocketType:
        wishes, family = self._wishes, family_of(host)
        check_port(port)
        sock = self._session.worker.sockets.open(family, multipath=wishes.allow_multipath(family))
        try:
            sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            if family is AddressFamily.AF_INET6:
                sock.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1)
            apply(sock, wishes.remote)
            sock.bind((host, port))
            sock.listen(backlog or 1)
        except OSError:
            sock.close()
            raise
        return sock

    def _answers(self, sock: SocketType, backlog: int) -> Options:
        wishes = self._wishes
        told = [*self._session.client_leg(), *answers(sock, wishes.remote, Leg.PROXY_REMOTE)]
        if wishes.multipath is not None:
            told.append(Multipath(Leg.PROXY_REMOTE, sock.proto == IPPROTO_MPTCP))
        if wishes.backlog is not None:
            told.append(ListenBacklog(Leg.PROXY_REMOTE, backlog))
        return tuple(told)

    def _wait(self, told: Address, port: int, options: Options) -> None:
        """The first reply. Who only holds a door open does not wait at it."""
        assert self._door is not None
        session = self._session
        session.worker.counters.replied(ReplyCode.SUCCEEDED)
        if not self._front.granted(told, port, options):
            session.end("client reset")
        elif self._key is None:
            self._door.wait(self)
        if not session.is_over:
            self.ready(session.client_events & ~EPOLLIN)
