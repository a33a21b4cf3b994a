"""The near control: a web server on the lab host's end of a tap, before every network that could interfere."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lab.context import Lab
from lab.errors import MpsocksError
from lab.plan import TapPlan
from lab.testbed.web.server import Handler, Server
from traces.neutrality.measuring import Aim
from traces.neutrality.model import Target
from traces.neutrality.speed import measure_speed

PATH = "/bytes/{bytes}"
RATE = 8_000_000
"""Octets per second, at first. Without a limit it is the guest's processor that would be measured."""
PIECE = 1 << 15


@dataclass(slots=True)
class NearControl:
    """A server that can be measured like any other."""

    aim: Aim
    rate: float = RATE
    """With which it sends, in octets per second."""

    def keep_up_with(self, targets: Iterable[Target]) -> None:
        """Send as fast as the fastest of them, and no slower than at first: what this host cannot do must show."""
        speeds = [speed for target in targets if (speed := measure_speed(target.pairs))]
        self.rate = max([RATE, *(max(speed.plain, speed.mptcp) for speed in speeds)])


@contextmanager
def near_control(lab: Lab, tap: TapPlan) -> Iterator[NearControl]:
    """Serve for as long as the block runs, on the tap alone. It speaks MPTCP if this host's kernel does."""
    address = tap.host.ip
    if lab.host.dry:
        yield NearControl(Aim(str(address), address, 80, PATH, speaks_mptcp=True, is_near=True))
        return
    speaks = lab.host.probe("sysctl", "-n", "net.mptcp.enabled").stdout.strip() == "1"
    near = NearControl(Aim(str(address), address, 0, PATH, speaks_mptcp=speaks, is_near=True))
    try:
        server = _TapServer(tap.tap, near)
    except OSError as error:
        raise MpsocksError(f"nothing can listen on {address}", why=str(error), hint="`invoke status`") from error
    near.aim = replace(near.aim, port=server.server_port)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    serving.start()
    try:
        yield near
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


class _TapServer(Server):
    """Hears what comes in by one interface: its address alone would be reachable from every network of this host."""

    def __init__(self, device: str, near: NearControl) -> None:
        self._device = device
        self.near = near
        super().__init__(str(near.aim.address), 0, mptcp=bool(near.aim.speaks_mptcp), handler=_SteadyHandler)

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._device.encode())
        super().server_bind()


class _SteadyHandler(Handler):
    """Sends at a steady rate, and logs nothing: the terminal is the task's."""

    server: _TapServer

    def _send(self, octets: memoryview) -> None:
        started, rate = time.monotonic(), self.server.near.rate
        for at in range(0, len(octets), PIECE):
            self.connection.sendall(octets[at : at + PIECE])
            time.sleep(max(0.0, started + (at + PIECE) / rate - time.monotonic()))

    def log_message(self, *_: object) -> None:
        pass
