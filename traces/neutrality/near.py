"""The near control: a web server on the lab host's end of a tap, before every network that could interfere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab.context import Lab
from lab.errors import MpsocksError
from lab.plan import TapPlan
from lab.testbed.web.server import Handler, Server
from traces.neutrality.measuring import Aim

PATH = "/bytes/{bytes}"
RATE = 8_000_000
"""Octets per second: as an uplink may have. Without a limit it is the guest's processor that would be measured."""
PIECE = 1 << 15


@contextmanager
def near_control(lab: Lab, tap: TapPlan) -> Iterator[Aim]:
    """Serve for as long as the block runs. It speaks MPTCP if this host's kernel does."""
    address = tap.host.ip
    if lab.host.dry:
        yield Aim(str(address), address, 80, PATH, speaks_mptcp=True, is_near=True)
        return
    speaks = lab.host.probe("sysctl", "-n", "net.mptcp.enabled").stdout.strip() == "1"
    try:
        server = Server(str(address), 0, mptcp=speaks, handler=_SteadyHandler)
    except OSError as error:
        raise MpsocksError(f"nothing can listen on {address}", why=str(error), hint="`invoke status`") from error
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    serving.start()
    try:
        yield Aim(str(address), address, server.server_port, PATH, speaks_mptcp=speaks, is_near=True)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


class _SteadyHandler(Handler):
    """Sends at a steady rate, and logs nothing: the terminal is the task's."""

    def _send(self, octets: memoryview) -> None:
        started = time.monotonic()
        for at in range(0, len(octets), PIECE):
            self.connection.sendall(octets[at : at + PIECE])
            time.sleep(max(0.0, started + (at + PIECE) / RATE - time.monotonic()))

    def log_message(self, *_: object) -> None:
        pass
