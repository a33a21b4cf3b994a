"""The buffer that all datagrams of the process pass through."""

from __future__ import annotations

from collections.abc import Iterator
from socket import SocketType
from typing import Any

HEADROOM = 64
"""Octets before a datagram, for the header that goes before it to the client."""
PER_TURN = 32
"""Datagrams from one socket; then the other connections have their turn."""
buffer = bytearray(HEADROOM + (1 << 16))
"""Every datagram is received into it, and has left it before the next."""
view = memoryview(buffer)


def from_client(sock: SocketType) -> Iterator[tuple[int, Any]]:
    """Receive what clients have sent, up to a turn's worth: how many octets stand in `buffer`, and from where."""
    for _ in range(PER_TURN):
        try:
            received = sock.recvfrom_into(buffer)
        except BlockingIOError:
            return
        except OSError:
            continue  # the client's port was closed when we sent there, which only its TCP connection can say
        yield received
