"""The SOCKS side of a session: from the first octet to the last reply."""

from __future__ import annotations

from select import EPOLLIN
from socket import AF_INET, MSG_DONTWAIT, MSG_NOSIGNAL, SocketType
from typing import TYPE_CHECKING

from codec import socks4, socks5
from codec.address import ANY_IPV4, Address, AddressType
from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError
from codec.method import AuthenticationMethod
from codec.reply import ReplyCode
from codec.rfc1929 import UserPassword
from codec.server import Event, Request, ServerConnection
from codec.socks6 import dialect, messages
from codec.socks6.draft04 import messages as messages04
from codec.socks6.draft04 import options as options04
from codec.socks6.option_list import Options, find_option
from codec.socks6.options import AuthenticationMethodAdvertisement, SessionId, UserPasswordData, UserPasswordResult
from proxy.gate import NoSuchSessionError, admit, session_of, without_window
from proxy.local_address import plain
from proxy.relay import UNUSUAL

if TYPE_CHECKING:
    from codec.socks6.sessions import Session as Socks6Session
    from proxy.listener import Listener
    from proxy.session import Session

LARGEST_READ = 4096
_SEND = MSG_DONTWAIT | MSG_NOSIGNAL
_OFFERS = (AuthenticationMethodAdvertisement, options04.AuthenticationMethods)
_WITHOUT_OPTIONS = (socks5.Request, socks4.Request)
_REQUESTS = (socks4.Request, socks5.Request, messages.Request, messages04.Request)


class Handshake:
    """The handler of a client's events until its request is whole and admitted; then what answers the client."""

    __slots__ = ("_claimed", "_connection", "_listener", "_owed", "_request", "_session", "_waiting")

    def __init__(self, session: Session, listener: Listener) -> None:
        self._session = session
        self._listener = listener
        self._connection = ServerConnection(listener.dialects)
        self._request: dialect.Request | None = None
        """A SOCKSv6 request, from when it is whole."""
        self._waiting = False
        """For the verdict on a password: the client is not read from meanwhile."""
        self._claimed = ""
        """The user that the client says it is."""
        self._owed = b""
        """The authentication reply, where it goes along with the operation reply."""

    def ready(self, mask: int) -> None:
        """Read until the request is whole or there is no more to read."""
        session = self._session
        if self._waiting:
            session.ready(mask)
            return
        while True:
            try:
                data = session.client.recv(LARGEST_READ, MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                session.end("client reset")
                return
            if not data:
                session.end("client closed in its handshake")
                return
            more = len(data) == LARGEST_READ or mask & UNUSUAL
            if self.received(data) or not more:
                if more:
                    self._pass_on(mask | EPOLLIN)
                return

    def _pass_on(self, mask: int) -> None:
        """Tell whoever has the client now: the kernel does not tell again of what there is to read, or of its end."""
        session = self._session
        if not session.is_over:
            handler = session.worker.loop.handlers[session.client.fileno()]
            (session if handler is self else handler).ready(mask)

    def crashed(self, error: Exception) -> None:
        self._session.crashed(error)

    def received(self, data: bytes) -> bool:
        """Take octets; whether to read no more for now: the request is there, a verdict is due, or it is over."""
        session = self._session
        try:
            event = self._connection.receive(data)
            while event is not NEED_DATA:
                if not self._happened(event):
                    return True
                event = self._connection.receive(b"")
        except RemoteProtocolError as error:
            self._send(error.reply)
            session.end(f"malformed: {error}")
            return True
        return False

    def connected(self, remote: SocketType, answers: Options, behind: bytes = b"") -> bool:
        """Tell the client that its remote host is reached, and how; `behind` goes along. False if it cannot be told."""
        host, port = remote.getsockname()[:2]
        kind = AddressType.IPV4 if remote.family == AF_INET else AddressType.IPV6
        return self._reply(ReplyCode.SUCCEEDED, Address(kind, plain(host)), port, answers, behind)

    def refused(self, code: ReplyCode) -> None:
        """Tell the client why not."""
        self._reply(code, ANY_IPV4, 0, ())

    @property
    def spoken(self) -> dialect.Dialect | None:
        """The dialect of a client that speaks SOCKSv6 since draft-05; before, BIND and UDP were those of SOCKS 5."""
        return self._connection.dialect if isinstance(self._request, messages.Request) else None

    @property
    def speaks_draft04(self) -> bool:
        return isinstance(self._request, messages04.Request)

    def granted(self, address: Address, port: int, answers: Options, *, behind: bytes = b"") -> bool:
        """Tell the client where it is bound, or who has come; `behind` goes along. False if it cannot be told."""
        return self._reply(ReplyCode.SUCCEEDED, address, port, answers, behind)

    def early_data(self) -> bytes:
        """What the client sent behind its request."""
        return self._connection.leftover()

    def verified(self, right: bool) -> None:
        """The verdict on the password that was asked about."""
        if self._session.is_over:
            return
        self._waiting = False
        if self._judged(right) and not self.received(b""):
            # What came meanwhile was an event that nobody acted on.
            self.ready(self._session.client_events)

    def still_wanted(self) -> bool:
        """Whether the verdict is waited for, and would be heard."""
        session, worker = self._session, self._session.worker
        return not session.is_over and not worker.failures.refused(session.peer[0], worker.loop.now)

    def _happened(self, event: Event) -> bool:
        """Act on an event; whether the next one is to be waited for."""
        if isinstance(event, socks5.Greeting):
            return self._greeted(event)
        if isinstance(event, UserPassword):
            return self._verify(event.user, event.password)
        # No association is granted in this state: what else comes is a request.
        assert isinstance(event, _REQUESTS)
        return self._requested(event)

    def _greeted(self, greeting: socks5.Greeting) -> bool:
        self._session.protocol = "socks5"
        wanted = (
            AuthenticationMethod.NONE if self._session.worker.verifier is None else AuthenticationMethod.USER_PASSWORD
        )
        method = wanted if wanted in greeting.methods else AuthenticationMethod.NONE_ACCEPTABLE
        return self._send_or_end(
            self._connection.send_method(method),
            "" if method is wanted else "no acceptable authentication method",
        )

    def _requested(self, request: Request) -> bool:
        session = self._session
        session.command = request.command
        session.destination, session.port = request.address, request.port
        if isinstance(request, _WITHOUT_OPTIONS):
            is_socks4 = isinstance(request, socks4.Request)
            session.protocol = "socks4" if is_socks4 else "socks5"
            if is_socks4 and session.worker.verifier is not None:
                session.refuse(ReplyCode.NOT_ALLOWED)  # it has no way to say a password
            else:
                session.perform(())
            return False
        session.protocol = "socks6"
        self._request = request
        if request.options or session.worker.verifier is not None:
            return self._identify(request)
        session.perform(())  # anyone may ask, and this one says nothing of sessions
        return False

    def _identify(self, request: dialect.Request) -> bool:
        """Learn who sends a SOCKSv6 request: by its session, by a password, or as anyone."""
        worker = self._session.worker
        named = find_option(request.options, SessionId)
        if named is not None and worker.channel.is_elsewhere(named.id[0]):
            return self._hand_over(named.id[0], request)
        try:
            found = session_of(request.options, worker.sessions, worker.loop.now)
        except NoSuchSessionError as error:
            return self._send_or_end(self._connection.send_authentication(False, error.refusal), "no such session")
        if found is not None or worker.verifier is None:
            return self._admit(found, found.principal if found else None, ())
        if (data := find_option(request.options, UserPasswordData)) is not None:
            return self._verify(data.user, data.password)
        if any(
            AuthenticationMethod.USER_PASSWORD in one.methods for one in request.options if isinstance(one, _OFFERS)
        ):
            return self._send_or_end(self._connection.send_method(AuthenticationMethod.USER_PASSWORD))
        return self._send_or_end(self._connection.send_authentication(False), "not authenticated")

    def _hand_over(self, owner: int, request: dialect.Request) -> bool:
        try:
            octets = self._connection.dialect.encode_request(request) + self._connection.leftover()
            taken = self._session.worker.hand_over(owner, self._session, self._listener, octets)
        except LocalProtocolError:
            taken = False
        if taken:
            self._session.given_away()
        else:
            self._session.refuse(ReplyCode.GENERAL_FAILURE)
        return False

    def _verify(self, user: bytes, password: bytes) -> bool:
        session, worker = self._session, self._session.worker
        verifier, now = worker.verifier, worker.loop.now
        assert verifier is not None
        self._claimed = user.decode("utf-8", "backslashreplace")
        if worker.failures.refused(session.peer[0], now):
            return self._judged(False)
        if verifier.known(user, password):
            return self._judged(True)
        self._waiting = verifier.ask(user, password, self)
        if not self._waiting:  # too many ask at the same time: not this client's fault, and not counted against it
            session.end("too many passwords to check")
        return False

    def _judged(self, valid: bool) -> bool:
        """Tell the client whether its password is right; whether to wait for its next message."""
        if valid:
            self._session.user = self._claimed
        else:
            self._session.worker.wrong_password(self._session.peer[0])
        if self._request is None:
            return self._send_or_end(self._connection.send_authentication(valid), "" if valid else "wrong password")
        in_option = find_option(self._request.options, UserPasswordData) is not None
        answers = (self._password_result(valid),) if in_option else ()
        if not valid:
            return self._send_or_end(self._connection.send_authentication(False, answers), "wrong password")
        return self._admit(None, self._session.user, answers)

    def _admit(self, found: Socks6Session | None, user: str | None, answers: Options) -> bool:
        """Let sessions and tokens have their say, then do what is asked for."""
        session, worker = self._session, self._session.worker
        request = self._request
        assert request is not None
        session.user = user
        admission = admit(request.options, found, user, worker.sessions, worker.loop.now)
        refusal = without_window(request.options)
        answers += admission.options + refusal
        if not admission.success:
            return self._send_or_end(self._connection.send_authentication(False, answers), "token spent before")
        session.socks6_session = admission.session
        if any(isinstance(one, _OFFERS) for one in request.options):
            # Who offered a method must not send data before it hears of it: it is told now, not with the last reply.
            if not self._send_or_end(self._connection.send_authentication(True, answers)):
                return False
        elif answers:
            self._owed = self._connection.send_authentication(True, answers)
        if refusal:  # in draft-04 the client is welcome, and the operation fails
            session.refuse(ReplyCode.GENERAL_FAILURE)
        else:
            session.perform(request.options)
        return False

    def _password_result(self, valid: bool) -> UserPasswordResult:
        is_old = isinstance(self._request, messages04.Request)
        return options04.UserPasswordResult(valid) if is_old else UserPasswordResult(valid)

    def _reply(self, code: ReplyCode, address: Address, port: int, answers: Options, behind: bytes = b"") -> bool:
        owed, self._owed = self._owed, b""
        return self._send(owed + self._connection.send_reply(code, address, port, answers) + behind)

    def _send_or_end(self, octets: bytes, end: str = "") -> bool:
        """Send, and end the session with the reason `end` where one is given; whether it goes on."""
        if not self._send(octets):
            end = end or "client reset"
        if end:
            self._session.end(end)
        return not end

    def _send(self, data: bytes) -> bool:
        """Replies are far smaller than an empty send buffer: one that does not fit means that the client has gone."""
        try:
            return self._session.client.send(data, _SEND) == len(data)
        except OSError:
            return False
