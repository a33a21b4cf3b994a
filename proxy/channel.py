"""From worker to worker: a client whose SOCKSv6 session lives in another process is handed over to it.

Sessions, tokens and reservations are thus kept by one process each, without locks, and survive the death of the others.
Every worker has a socket that all the others may send to, and hears there of wrong passwords, too; the supervisor keeps
both ends, so that a successor goes on where a dead worker left off.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from select import EPOLLIN
from typing import Any, Protocol

from proxy.loop import Loop
from proxy.plain import Plain

LARGEST_MESSAGE = 1 << 17
"""Octets: a request of 16 KiB, its initial data, and a datagram of 64 KiB all fit."""
MESSAGES_PER_TURN = 64
_FLAGS = socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK


@dataclass(frozen=True, slots=True)
class Ends:
    """A worker's receiving end, and the one that others send to."""

    receiving: socket.socket
    sending: socket.socket

    @classmethod
    def make(cls) -> Ends:
        receiving, sending = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | _FLAGS)
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LARGEST_MESSAGE)
        return cls(receiving, sending)

    def close(self) -> None:
        self.receiving.close()
        self.sending.close()


class Receiver(Protocol):
    """The worker, as the channel sees it."""

    def take_over(self, message: dict[str, Any], octets: bytes, sock: socket.SocketType | None) -> None:
        """What another worker sent. A socket is the receiver's now."""

    def could_not_take_over(self, message: dict[str, Any]) -> None:
        """A client was sent, but this process has no descriptors left for its socket."""


class Channel:
    """One worker's view: its own end, and everyone's sending ends by slot."""

    def __init__(self, slot: int, ends: list[Ends], loop: Loop, receiver: Receiver) -> None:
        self.slot = slot
        self._ends = ends
        self._receiver = receiver
        self._loop = loop
        loop.add(ends[slot].receiving.fileno(), self, EPOLLIN)

    def is_elsewhere(self, owner: int) -> bool:
        """Whether this is the slot of another worker."""
        return owner != self.slot and owner < len(self._ends)

    @property
    def is_alone(self) -> bool:
        """Whether there are no other workers."""
        return len(self._ends) == 1

    def send(self, owner: int, message: dict[str, Any], octets: bytes, sock: socket.SocketType | None = None) -> bool:
        """Send to another worker, with a copy of `sock`; whether it could be."""
        payload = json.dumps(message).encode() + b"\n" + octets
        if sock is None:
            descriptors: tuple[int, ...] = ()
        else:
            descriptors = sock.descriptors if isinstance(sock, Plain) else (sock.fileno(),)
        try:
            socket.send_fds(self._ends[owner].sending, [payload], descriptors)
        except OSError:
            return False
        return True

    def tell_others(self, message: dict[str, Any]) -> None:
        """Send to every other worker that has room for it."""
        for owner in range(len(self._ends)):
            if owner != self.slot:
                self.send(owner, message, b"")

    def ready(self, _mask: int) -> None:
        for _ in range(MESSAGES_PER_TURN):
            try:
                payload, fds, flags, _ = socket.recv_fds(self._ends[self.slot].receiving, LARGEST_MESSAGE, 2)
            except OSError:
                return
            if not payload:  # the supervisor is gone, and with it all that could send
                self._loop.remove(self._ends[self.slot].receiving.fileno())
                return
            message, _, octets = payload.partition(b"\n")
            if flags & socket.MSG_CTRUNC:
                # The kernel has closed those for which there was no room. One of two would look like another client.
                for fd in fds:
                    os.close(fd)
                self._receiver.could_not_take_over(json.loads(message))
            else:
                self._receiver.take_over(json.loads(message), octets, _socket_of(fds))

    def crashed(self, error: Exception) -> None:
        raise error


def _socket_of(descriptors: list[int]) -> socket.SocketType | None:
    """Not socket.socket: sessions use the bare type, which costs less. Two descriptors are a client behind TLS."""
    if not descriptors:
        return None
    return Plain.of(*descriptors) if len(descriptors) == 2 else socket.SocketType(-1, -1, -1, descriptors[0])
