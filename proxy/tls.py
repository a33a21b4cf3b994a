"""TLS with clients: ended here, in the worker's loop, between the client's socket and one end of a socket pair.

The other end of the pair, `Plain`, stands for the client in an ordinary session, so that handshake, relay and hand-over
know nothing of TLS. A `Termination` sits in between:

    client ══ TLS ══ socket ── Termination ── pair ── Plain (the session's `client`)

The end of a stream passes as close_notify (RFC 8446 section 6.1) one way and as the end of the pair's stream the other;
a reset passes as one both ways, and so does an end without close_notify, which anyone on the way could have forged.
Each direction holds one read at most that its sink has not taken, and reads no more until it has.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from socket import (
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    SHUT_WR,
    SO_ERROR,
    SO_LINGER,
    SOL_SOCKET,
    SocketType,
    socketpair,
)
from typing import Protocol

from proxy.log import Log
from proxy.loop import Loop
from proxy.plain import CLOSE_WITH_RESET, Plain, is_to_reset

READ_OCTETS = 1 << 16
RECORD_OCTETS = 1 << 14
"""The most that one TLS record carries: reading so much leaves nothing of it behind."""
STEPS_PER_TURN = 16
"""Then the other connections have their turn."""

_READABLE = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR
_SEND = MSG_DONTWAIT | MSG_NOSIGNAL


class Owner(Protocol):
    """Who makes terminations: the worker."""

    @property
    def loop(self) -> Loop: ...
    @property
    def log(self) -> Log: ...
    def terminated(self, termination: Termination, /) -> None:
        """A client has gone for good."""


class Termination:
    """One client's TLS, and the handler of its socket's events."""

    __slots__ = (
        "_down_ended", "_failed", "_finished", "_incoming", "_outgoing", "_over", "_owner", "_pair", "_patience",
        "_session_gone", "_shaking", "_socket", "_tls", "_to_client", "_to_session", "_up_ended", "plain",
    )  # fmt: skip

    def __init__(self, owner: Owner, sock: SocketType, context: ssl.SSLContext, patience: float) -> None:
        """`patience` is for how many seconds a client may leave the last octets unread, once its session is over."""
        self._owner = owner
        self._socket = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._pair, end = socketpair()
        self._pair.setblocking(False)
        self.plain = Plain(end.detach(), sock)
        self._patience = patience
        self._failed: Callable[[str], None] | None = None
        self._to_client = b""
        self._to_session: bytes = b""
        self._shaking = True
        self._up_ended = self._down_ended = self._finished = self._session_gone = self._over = False

    def begin(self, failed: Callable[[str], None]) -> None:
        """Shake hands; `failed` is told why that cannot be, and is to end the session."""
        self._failed = failed
        self._owner.loop.add(self._socket.fileno(), self)
        self._owner.loop.add(self._pair.fileno(), _PairEvents(self))

    def ready(self, mask: int) -> None:
        """Something happened to the client, or (0) its time to read is over."""
        if self._over:
            return
        if not mask or (mask & EPOLLERR and self._socket.getsockopt(SOL_SOCKET, SO_ERROR)):
            self.cut()
            return
        if mask & _READABLE or self._shaking:
            self._pump_up()
        if mask & EPOLLOUT and self._to_client:
            self._pump_down()

    def crashed(self, error: Exception) -> None:
        self._owner.log.defect(error)
        self.cut()

    def pair_ready(self, mask: int) -> None:
        """Something happened to the session's end."""
        if self._over:
            return
        gone = mask & EPOLLHUP and not self._session_gone
        if gone:
            self._session_gone = True
            if is_to_reset(self._socket):
                self.cut()
                return
        if mask & _READABLE:
            self._pump_down()
        if mask & EPOLLOUT and self._to_session:
            self._pump_up()
        if gone and not self._over:
            self._owner.loop.call_at(self._owner.loop.now + self._patience, self)

    def cut(self) -> None:
        """Reset the client, and let the session know."""
        if not self._over:
            self.plain.cut = True
            self._socket.setsockopt(SOL_SOCKET, SO_LINGER, CLOSE_WITH_RESET)
            self._close()

    def _close(self) -> None:
        if self._over:
            return
        self._over = True
        self._failed = None
        self._owner.loop.bury(self._socket)
        self._owner.loop.bury(self._pair)
        self._owner.terminated(self)

    def _shake(self) -> bool:
        """Whether the handshake is over, and well."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                if not self._send() or not self._receive():
                    return False
            except ssl.SSLError as error:
                self._send()  # the alert, as far as it goes
                failed, self._failed = self._failed, None
                if failed is not None:
                    failed(f"tls: {(error.reason or 'failed').lower().replace('_', ' ')}")
                self._close()
                return False
            else:
                self._shaking = False
                self._failed = None
                self._send()
                return True

    def _pump_up(self) -> None:
        """From the client to the session, until there is no more or it takes no more."""
        if self._shaking and not self._shake():
            return
        for _ in range(STEPS_PER_TURN):
            if self._over or (self._to_session and not self._offer()) or self._up_ended:
                return
            try:
                self._to_session = self._tls.read(RECORD_OCTETS)
            except ssl.SSLWantReadError:
                # Reading may have made something to say, such as new keys.
                if (self._outgoing.pending and not self._send()) or not self._receive():
                    return
                continue
            except ssl.SSLZeroReturnError:
                pass
            except ssl.SSLError:
                self.cut()
                return
            if not self._to_session:
                self._up_ended = True
                self._pair.shutdown(SHUT_WR)
        self._owner.loop.again(self)

    def _receive(self) -> bool:
        """Take ciphertext; whether there was any."""
        try:
            octets = self._socket.recv(READ_OCTETS, MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            octets = b""
        if not octets:  # without close_notify: that would have been read
            self.cut()
            return False
        self._incoming.write(octets)
        return True

    def _offer(self) -> bool:
        """Give the session what was read for it; whether it took all."""
        try:
            sent = self._pair.send(self._to_session, _SEND)
        except BlockingIOError:
            return False
        except OSError:  # it has ended: what the client still says is for nobody
            sent = len(self._to_session)
        self._to_session = self._to_session[sent:]
        return not self._to_session

    def _pump_down(self) -> None:
        """From the session to the client, until there is no more or it takes no more."""
        if self._shaking:
            if self._session_gone:
                self._close()
            return
        for _ in range(STEPS_PER_TURN):
            if not self._send():
                return
            if self._down_ended:
                self._finish()
                return
            try:
                octets = self._pair.recv(READ_OCTETS)
            except BlockingIOError:
                return
            except ConnectionResetError:  # it has ended, and left unread what the client said
                octets = b""
            if octets:
                self._tls.write(octets)
            elif is_to_reset(self._socket):
                self.cut()
                return
            else:
                self._say_goodbye()
        self._owner.loop.again(_PairEvents(self))

    def _send(self) -> bool:
        """Send the client what there is for it; whether it took all."""
        if self._outgoing.pending:
            self._to_client += self._outgoing.read()
        if not self._to_client:
            return True
        try:
            sent = self._socket.send(self._to_client, _SEND)
        except BlockingIOError:
            return False
        except OSError:
            self.cut()
            return False
        self._to_client = self._to_client[sent:]
        return not self._to_client

    def _say_goodbye(self) -> None:
        """Write close_notify. OpenSSL then looks for the client's, and takes anything else for a violation: hide it."""
        unread = self._incoming.read()
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._incoming.write(unread)
        self._down_ended = True

    def _finish(self) -> None:
        """All that the session said has been sent."""
        if self._session_gone or self._up_ended:
            self._close()
        elif not self._finished:
            self._finished = True
            # Once only: when the client has ended as well this fails, although what it said is still to be read.
            with suppress(OSError):
                self._socket.shutdown(SHUT_WR)


class _PairEvents:
    """The handler of the pair's events."""

    __slots__ = ("_termination",)

    def __init__(self, termination: Termination) -> None:
        self._termination = termination

    def ready(self, mask: int) -> None:
        self._termination.pair_ready(mask)

    def crashed(self, error: Exception) -> None:
        self._termination.crashed(error)
