"""Raw packets out, and whatever comes back in: the prober's only sockets."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from traces.neutrality.prober.packets import Address

ETHERTYPES = {4: 0x0800, 6: 0x86DD}
LONGEST = 2048
RESET_MARK = 0x6D70
"""On the prober's own resets, by which the rule that holds back the kernel's lets them pass."""


class Wire:
    """One interface: sends IP packets from its address, and receives those that come in."""

    def __init__(self, interface: str, source: Address) -> None:
        """`PermissionError` without CAP_NET_RAW, `OSError` when there is no such interface or address."""
        family = socket.AF_INET if source.version == 4 else socket.AF_INET6
        with contextlib.ExitStack() as opened:
            # A packet socket sees what arrives before any firewall does, with its IP header, for both families alike.
            self._ear = opened.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM))
            self._ear.bind((interface, ETHERTYPES[source.version]))
            self._ear.setblocking(False)
            # IPPROTO_RAW: the whole packet is ours, its IP header included.
            self._mouth = opened.enter_context(socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW))
            self._mouth.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, RESET_MARK)
            # Policy routing looks at the address a socket is bound to, not into the packet.
            self._mouth.bind((str(source), 0))
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._opened.close()

    def send(self, packet: bytes, target: Address) -> bool:
        """Whether the packet left: one that finds no route, or no room in a queue, does not."""
        try:
            self._mouth.sendto(packet, (str(target), 0))
        except OSError:
            return False
        return True

    def receive(self, until: float) -> Iterator[tuple[bytes, float]]:
        """The packets that come in, each with its time, until the clock (`time.monotonic`) says `until`."""
        while (left := until - time.monotonic()) > 0:
            if not select.select([self._ear], [], [], left)[0]:
                return
            try:
                octets, sender = self._ear.recvfrom(LONGEST)
            except (BlockingIOError, ConnectionError):
                continue
            except OSError:
                return  # the interface went away
            if sender[2] != socket.PACKET_OUTGOING:
                yield octets, time.monotonic()
