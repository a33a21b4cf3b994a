"""What the workers that one reading of the configuration made have in common."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Self

from proxy import certificate
from proxy.channel import Ends
from proxy.control import prepare_folder
from proxy.endpoints import Endpoints, Passed
from proxy.exporter import metrics_socket
from proxy.options import Options


@dataclass(frozen=True, slots=True)
class Generation:
    """Opened by the supervisor, and inherited by the processes that it forks."""

    options: Options
    endpoints: Endpoints
    channels: list[Ends]
    metrics: socket.socket | None
    tls: ssl.SSLContext | None

    @classmethod
    def open(cls, options: Options, passed: Passed, before: Self | None = None) -> Self:
        """What these options want, sharing with the generation `before` what stays. Raises StartError: nothing is open
        then that was not before."""
        tls = certificate.load(options.tls) if options.tls is not None else None
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
                metrics = metrics_socket(operations.metrics)
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
