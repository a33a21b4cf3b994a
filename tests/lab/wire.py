"""A wire between a tap of one network namespace and a tap of another, as QEMU is between host and guest."""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
LARGEST_FRAME = 65_550

Made = TypeVar("Made")


def in_namespace(name: str, make: Callable[[], Made]) -> Made:
    """What `make` returns in that namespace. Only a thread that ends at once moves there."""
    made: list[Made] = []

    def move_and_make() -> None:
        with Path("/run/netns", name).open("rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {name}")
        made.append(make())

    thread = threading.Thread(target=move_and_make)
    thread.start()
    thread.join()
    return made[0]


@contextmanager
def wire(*ends: tuple[str, str]) -> Iterator[None]:
    """Frames go between the two ends, each a namespace and the name of a tap in it, for as long as the block runs."""
    first, second = (in_namespace(namespace, partial(_open_tap, tap)) for namespace, tap in ends)
    stop_reader, stop_writer = os.pipe()
    pump = threading.Thread(target=_pump, args=(first, second, stop_reader))
    pump.start()
    try:
        yield
    finally:
        os.close(stop_writer)
        pump.join()
        for descriptor in (first, second, stop_reader):
            os.close(descriptor)


def _open_tap(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return descriptor


def _pump(first: int, second: int, stop: int) -> None:
    other = {first: second, second: first}
    while True:
        readable, _, _ = select.select([first, second, stop], [], [])
        if stop in readable:
            return
        for descriptor in readable:
            try:
                os.write(other[descriptor], os.read(descriptor, LARGEST_FRAME))
            except OSError:
                # One of the taps is down, or gone: frames are lost, as on a wire that is pulled out.
                if select.select([stop], [], [], 0.01)[0]:
                    return
