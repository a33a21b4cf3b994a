"""The metrics over HTTP, for Prometheus: a process of its own, so that no scrape takes time from a worker.

Imported by that process alone: http.server takes 3 MiB.
"""

from __future__ import annotations

import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import Any

from proxy.metrics import Board, exposition

MOST_REQUESTS = 16
"""At once; one more is closed unanswered."""
REQUEST_SECONDS = 5.0
"""In which a request is to be said and answered, however slowly it trickles."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Exporter(ThreadingHTTPServer):
    """Answers GET /metrics, and nothing else."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, sock: socket.socket, board: Board) -> None:
        super().__init__(sock.getsockname(), _Request, bind_and_activate=False)
        self.socket.close()
        self.socket = sock
        self.board = board
        self._room = BoundedSemaphore(MOST_REQUESTS)
        self._deadlines: dict[Any, float] = {}

    def run(self, lifeline: int) -> None:
        """Serve until the supervisor's end of `lifeline` closes, which ends the process."""
        Thread(target=_end_with, args=(lifeline,), daemon=True).start()
        self.serve_forever(poll_interval=REQUEST_SECONDS / 10)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            super().shutdown_request(request)
            return
        self._deadlines[request] = monotonic() + REQUEST_SECONDS
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Called by the thread of a request that is over."""
        self._deadlines.pop(request, None)
        super().shutdown_request(request)
        self._room.release()

    def service_actions(self) -> None:
        """Called by the serving thread now and then: who is too slow is cut, which its thread then notices."""
        now = monotonic()
        for request in [one for one, deadline in tuple(self._deadlines.items()) if deadline < now]:
            try:
                request.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has just gone

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle concerns nobody."""


class _Request(BaseHTTPRequestHandler):
    server: Exporter
    server_version = "mpsocks"
    sys_version = ""
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        if self.path != "/metrics":
            self.send_error(404)
            return
        text = exposition(self.server.board.totals()).encode()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class names it so
        """The log is about the clients of the proxy."""


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(0)
