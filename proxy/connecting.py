"""A CONNECT on its way: from the destination that the client named to the connection that it gets."""

from __future__ import annotations

from collections.abc import Sequence
from socket import SocketType
from typing import TYPE_CHECKING

from codec.address import Address, AddressType
from codec.command import Command
from codec.reply import ReplyCode
from codec.socks6.option_list import Options
from proxy.handshake import Handshake
from proxy.mptcp import is_multipath
from proxy.nameserver import is_dns_service
from proxy.outward import Attempt
from proxy.resolver import Candidate, Candidates, Question, candidate
from proxy.stack import NO_WISHES, Wishes, connect_answers_draft04
from proxy.via import ViaHandshake

if TYPE_CHECKING:
    from proxy.session import Front, Session
    from proxy.worker import Worker


_NAME = AddressType.DOMAIN_NAME


class Connecting:
    """Resolves, asks the rules, connects, and tells the session `connected` or `refuse`."""

    __slots__ = (
        "_attempt",
        "_by_name",
        "_destination",
        "_early",
        "_front",
        "_is_over",
        "_question",
        "_session",
        "_wishes",
        "worker",
    )

    def __init__(self, session: Session, front: Front, destination: Address, wishes: Wishes) -> None:
        self.worker: Worker = session.worker
        self._session = session
        self._front = front
        self._destination = destination
        self._by_name = destination.type is _NAME
        self._wishes = wishes
        self._early = b""
        """What the client sent behind its request."""
        self._question: Question | None = None
        self._attempt: Attempt | None = None
        self._is_over = False

    @property
    def waiting_since(self) -> float:
        """The session's: every way that is tried has the timeout for itself."""
        return self._session.waiting_since

    @waiting_since.setter
    def waiting_since(self, moment: float) -> None:
        self._session.waiting_since = moment

    def begin(self) -> None:
        """Reach the destination, or the proxy that is to do it."""
        session, destination, via = self._session, self._destination, self.worker.options.outward.via
        if via is None and session.protocol == "socks6" and is_dns_service(destination, session.port):
            self._connect_to_nameserver()
        elif not (self._may_ask() if self._by_name else self._permits(destination.host)):
            session.refuse(ReplyCode.NOT_ALLOWED)
        elif via is not None:
            self._reach(Address.of(via.host))
        elif self._by_name:
            self._reach(destination)
        else:
            self._try(self._attempt_at((candidate(destination.host),)))

    def answered(self, found: Candidates) -> None:
        """Connect to one of these addresses, as far as the rules permit."""
        if self._is_over:
            return
        session, via = self._session, self.worker.options.outward.via
        if not found:
            session.refuse(ReplyCode.HOST_UNREACHABLE)
        elif via is not None:
            self._try(Attempt(self, found, via.port, by_name=Address.of(via.host).type is _NAME))
        elif permitted := [one for one in found if self._permits(one[1])]:
            self._try(self._attempt_at(permitted))
        else:
            session.refuse(ReplyCode.NOT_ALLOWED)

    def unanswered(self, code: ReplyCode) -> None:
        """Nobody could tell in time what the name means."""
        if not self._is_over:
            self._session.refuse(code)

    def reached(self, remote: SocketType, mask: int) -> None:
        """An outward connection stands; `mask` is what has happened to it already."""
        # Let go of, so that no reference cycle is left for the collector.
        session, attempt, self._attempt = self._session, self._attempt, None
        assert attempt is not None
        if self.worker.options.outward.via is not None:
            session.go_on(ViaHandshake(session, remote, self._destination, session.port), mask)
            return
        multipath = is_multipath(remote)
        answers = self._answers(attempt, remote, multipath=multipath)
        in_syn = attempt.in_syn
        session.connected(remote, mask, multipath=multipath, answers=answers, unsent=self._early[in_syn:], sent=in_syn)

    def refuse(self, code: ReplyCode) -> None:
        self._session.refuse(code)

    def expired(self) -> None:
        """The session has waited for too long."""
        if self._attempt is not None:
            self._attempt.expired()
        else:
            self._session.refuse(ReplyCode.TIMED_OUT)

    def cancel(self) -> None:
        """The client has gone."""
        self._is_over = True
        if self._question is not None:
            self._question.forget(self)
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()

    def crashed(self, error: Exception) -> None:
        self._session.crashed(error)

    def _reach(self, target: Address) -> None:
        """Go on with `answered`, at once or when the name is resolved."""
        if target.type is _NAME:
            self._question = self.worker.resolver.ask(target.name_octets, self)
        else:
            self.answered((candidate(target.host),))

    def _connect_to_nameserver(self) -> None:
        """To the server that this proxy itself asks, wherever it is: rules about addresses are not meant for it."""
        session, server = self._session, self.worker.nameserver
        if server is None or not self._permits(None):
            session.refuse(ReplyCode.CONNECTION_REFUSED)
        else:
            self._early = self._front.early_data()
            self._try(Attempt(self, (candidate(server.host),), server.port, early=self._early))

    def _attempt_at(self, permitted: Sequence[Candidate]) -> Attempt:
        self._early = self._front.early_data()
        return Attempt(
            self, permitted, self._session.port, wishes=self._wishes, by_name=self._by_name, early=self._early
        )

    def _try(self, attempt: Attempt) -> None:
        self._attempt = attempt
        attempt.begin()

    def _permits(self, address: str | None) -> bool:
        """Whether the rules let this client go to the address, by the name that it gave."""
        session = self._session
        if (address, session.port) in self.worker.own_endpoints:
            return False  # as its own client the proxy could not tell who it is that asks
        name = self._destination.host if self._by_name else None
        return self.worker.policy.decide(
            session.peer[0], session.user, Command.CONNECT, name=name, address=address, port=session.port
        )

    def _may_ask(self) -> bool:
        if self.worker.options.outward.via is not None:  # the next proxy resolves the name, and judges the address
            return self._permits(None)
        return self.worker.policy.may_ask(self._session.peer[0], self._session.user, Command.CONNECT)

    def _answers(self, attempt: Attempt, remote: SocketType, *, multipath: bool) -> Options:
        """What the operation reply says of the stack on both legs."""
        if self._session.protocol != "socks6":
            return ()
        if isinstance(self._front, Handshake) and self._front.speaks_draft04:
            return connect_answers_draft04(multipath=multipath, in_syn=attempt.in_syn)
        if self._wishes is NO_WISHES:
            return ()
        return (*self._session.client_leg(), *attempt.answers(remote, multipath=multipath))
