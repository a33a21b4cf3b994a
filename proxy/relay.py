"""Carrying octets from one socket to the other.

A `Flow` is one direction. Small messages are received into one buffer that all flows of the process share and sent on
at once; a direction that keeps filling that buffer is bulk, and moves through a pipe without being copied (splice).
When the sink takes no more, the flow is blocked: it reads nothing until the sink is writable again, so that a slow
reader costs at most one buffer or one pipe.
"""

from __future__ import annotations

from os import SPLICE_F_MOVE, SPLICE_F_NONBLOCK, set_blocking, splice
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP
from socket import MSG_DONTWAIT, MSG_NOSIGNAL, SHUT_WR, SO_ERROR, SOL_SOCKET, SocketType
from typing import TYPE_CHECKING

from proxy.pipes import PIPE_OCTETS, Pipe
from proxy.plain import Plain

if TYPE_CHECKING:
    from proxy.session import Session

BUFFER_OCTETS = 1 << 16
FULL_READS_TO_BULK = 2
"""So many full buffers in a row make a direction bulk."""
SMALL_SPLICE = 1 << 14
"""A turn that moved less than this ends it: two splices cost more than one copy of so little."""
STEPS_PER_TURN = 16
"""Then the other connections have their turn."""

HANGUP = EPOLLRDHUP | EPOLLHUP | EPOLLERR
READABLE = EPOLLIN | HANGUP
UNUSUAL = HANGUP | EPOLLPRI
NEXT_TURN = EPOLLIN | EPOLLRDHUP
"""To go on with: whatever has happened to the source meanwhile has been told already."""
_SEND = MSG_DONTWAIT | MSG_NOSIGNAL
_SPLICE = SPLICE_F_NONBLOCK | SPLICE_F_MOVE
_buffer = bytearray(BUFFER_OCTETS)
_view = memoryview(_buffer)


class Flow:
    """One direction of a session, and the handler of its source's events."""

    __slots__ = (
        "_bulk", "_pending", "_pipe", "_piped", "back", "blocked", "ended", "octets", "session", "sink", "source",
    )  # fmt: skip

    def __init__(self, session: Session, source: SocketType, sink: SocketType) -> None:
        self.session = session
        self.source = source
        self.sink = sink
        self.back: Flow | None = None
        """The other direction; None once the session is over."""
        self.octets = 0
        """Handed to the sink so far."""
        self.blocked = False
        """The sink takes no more: octets wait in `_pending` or in the pipe."""
        self.ended = False
        """The source has sent its last octet, and all are handed over."""
        self._bulk = False
        self._pending = b""
        self._pipe: Pipe | None = None
        self._piped = 0

    def ready(self, mask: int) -> None:
        """Something happened to the source: it has octets, or ended, or takes octets of the other direction again."""
        back = self.back
        if back is None:
            return
        if mask & READABLE and not self.blocked:
            self.pump(thorough=bool(mask & UNUSUAL))
        if mask & EPOLLERR and (self.blocked or self.ended):
            # Whoever reads hears of the error behind all that came before it; here nobody does.
            error = self.source.getsockopt(SOL_SOCKET, SO_ERROR)
            if error:
                self.session.broken(self.source, error)
        if mask & EPOLLOUT and back.blocked:
            back.pump(thorough=True)

    def crashed(self, error: Exception) -> None:
        self.session.crashed(error)

    def offer(self, data: bytes) -> None:
        """Send octets that came before the relay began."""
        self._send(data)

    def pump(self, *, thorough: bool) -> None:
        """Move octets until the source has no more or the sink takes no more.

        A read that does not fill the buffer has emptied the source, and what comes later is a new event; unless the end
        of the stream came already, or urgent data, at which a read stops, or events were passed over while blocked or
        at the end of a turn: then `thorough` reads on.
        """
        if self.ended or (self.blocked and not self._flush()):
            return
        if self._bulk or self._piped:
            self._splice()
            return
        full_reads = 0
        for _ in range(STEPS_PER_TURN):
            try:
                count = self.source.recv_into(_buffer, 0, MSG_DONTWAIT)
            except OSError as error:
                if not isinstance(error, BlockingIOError):
                    self.session.broken(self.source, error.errno)
                return
            if not count:
                self._end()
                return
            full_reads += count == BUFFER_OCTETS
            if not self._send(_view[:count]) or (count < BUFFER_OCTETS and not thorough):
                return
            if full_reads == FULL_READS_TO_BULK:
                self._become_bulk()
                return
        self.session.worker.loop.again(self, NEXT_TURN)

    def release(self) -> None:
        """The session is over: give the pipe back and do nothing any more."""
        self.back = None
        self.ended = True
        self.blocked = False
        self._pending = b""
        self._return_pipe()

    def _send(self, data: bytes | memoryview) -> bool:
        """Whether the sink took it all. What it did not take is kept, and blocks the flow."""
        try:
            sent = self.sink.send(data, _SEND)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.session.broken(self.sink, error.errno)
            return False
        self.octets += sent
        if sent == len(data):
            return True
        self._pending = bytes(data[sent:])
        self.blocked = True
        return False

    def _flush(self) -> bool:
        """The sink is writable again: send what was kept. Octets in the pipe are left to `_splice`."""
        self.blocked = False
        pending, self._pending = self._pending, b""
        return not pending or self._send(pending)

    def _become_bulk(self) -> None:
        # An accepted socket is blocking (one system call saved for each), and splice heeds only the socket's own mode.
        set_blocking(self.source.fileno(), False)
        set_blocking(self.sink.fileno(), False)
        self._bulk = True
        self._splice()

    def _splice(self) -> None:
        """Move octets through a pipe until the source has no more or the sink takes no more."""
        worker = self.session.worker
        if self._pipe is None:
            self._pipe = worker.pipes.take()
        pipe = self._pipe
        if pipe is None:
            self._bulk = False
            worker.loop.again(self, NEXT_TURN)
            return
        before = self.octets
        for _ in range(STEPS_PER_TURN):
            if not self._piped and not self._fill(pipe):
                self._bulk = self.octets - before >= SMALL_SPLICE
                return
            if not self._empty(pipe):
                return
        worker.loop.again(self, NEXT_TURN)

    def _fill(self, pipe: Pipe) -> bool:
        """Source to pipe; False when nothing came."""
        try:
            self._piped = splice(self.source.fileno(), pipe.write_end, PIPE_OCTETS, flags=_SPLICE)
        except BlockingIOError:
            self._return_pipe()
            return False
        except OSError as error:
            self.session.broken(self.source, error.errno)
            return False
        if not self._piped:
            self._return_pipe()
            self._end()
            return False
        return True

    def _empty(self, pipe: Pipe) -> bool:
        """Pipe to sink; False when it took nothing."""
        try:
            count = splice(pipe.read_end, self.sink.fileno(), self._piped, flags=_SPLICE)
        except BlockingIOError:
            self.blocked = True
            return False
        except OSError as error:
            self.session.broken(self.sink, error.errno)
            return False
        self.octets += count
        self._piped -= count
        return True

    def _return_pipe(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            return
        if self._piped:
            self._piped = 0
            self.session.worker.pipes.discard(pipe)
        else:
            self.session.worker.pipes.give_back(pipe)

    def _end(self) -> None:
        """The source has ended: tell the sink so, or close the session when both have."""
        if isinstance(self.source, Plain) and self.source.was_cut():
            self.session.broken(self.source, None)
            return
        self.ended = True
        if self.back is None or self.back.ended:
            self.session.end("closed")
            return
        try:
            self.sink.shutdown(SHUT_WR)
        except OSError as error:
            self.session.broken(self.sink, error.errno)
