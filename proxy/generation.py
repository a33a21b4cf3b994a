"""What the workers that one reading of the configuration made have in common."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from proxy.channel import Ends
from proxy.control import prepare_folder
from proxy.endpoints import Endpoints, Passed
from proxy.options import HostPort, Options, StartError

if TYPE_CHECKING:
    from ssl import SSLContext

METRICS_BACKLOG = 16


@dataclass(frozen=True, slots=True)
class Generation:
    """Opened by the supervisor, and inherited by the processes that it forks."""

    options: Options
    endpoints: Endpoints
    channels: list[Ends]
    metrics: socket.socket | None
    tls: SSLContext | None

    @classmethod
    def open(cls, options: Options, passed: Passed, before: Self | None = None) -> Self:
        """What these options want, sharing with the generation `before` what stays. Raises StartError: nothing is open
        then that was not before."""
        tls = _context(options)
        operations = options.operations
        if operations.control is not None:
            prepare_folder(operations.control)
        endpoints = Endpoints.open(options, passed, before.endpoints if before else None)
        try:
            if operations.metrics is None:
                metrics = None
            elif before and operations.metrics == before.options.operations.metrics:
                metrics = before.metrics
            else:
                metrics = _metrics_socket(operations.metrics)
        except BaseException:
            endpoints.close(keeping=before.endpoints if before else None)
            raise
        return cls(options, endpoints, [Ends.make() for _ in range(options.workers)], metrics, tls)

    def close(self, keeping: Self | None = None) -> None:
        """Close what is not shared with `keeping`."""
        self.endpoints.close(keeping.endpoints if keeping else None)
        for ends in self.channels:
            ends.close()
        if self.metrics is not None and (keeping is None or keeping.metrics is not self.metrics):
            self.metrics.close()

    def keep_for_worker(self, slot: int) -> None:
        """In the worker's process: close what is for others."""
        self.endpoints.keep_only(slot)
        if self.metrics is not None:
            self.metrics.close()

    def keep_for_exporter(self) -> None:
        """In the exporter's process."""
        self.endpoints.close()
        for ends in self.channels:
            ends.close()


def _context(options: Options) -> SSLContext | None:
    if options.tls is None:
        return None
    from proxy import certificate  # with ssl: 1 MiB that few proxies need

    return certificate.load(options.tls)


def _metrics_socket(address: HostPort) -> socket.socket:
    """Opened by the supervisor, so that it tells when it cannot be, and nobody is refused while the process restarts.

    Raises StartError.
    """
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address.host, address.port))
        sock.listen(METRICS_BACKLOG)
    except OSError as error:
        sock.close()
        raise StartError(f"operations.metrics: cannot listen on {address}: {error.strerror}") from error
    return sock
