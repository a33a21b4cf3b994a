"""The buffer that all datagrams of the process pass through."""

from __future__ import annotations

HEADROOM = 64
"""Octets before a datagram, for the header that goes before it to the client."""
PER_TURN = 32
"""Datagrams from one socket; then the other connections have their turn."""
buffer = bytearray(HEADROOM + (1 << 16))
"""Every datagram is received into it, and has left it before the next."""
view = memoryview(buffer)
