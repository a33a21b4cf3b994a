"""HTTP/1.1 (RFC 9112), one thread per connection."""

from __future__ import annotations

import json
import re
import socket
import sys
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .connection import IPPROTO_MPTCP, inspect
from .octets import Digests, parse_count, pieces

YAY = "Yay, you are MPTCP-capable! You can now rest in peace."
NAY = "Nay, Nay, Nay, your have chosen to stay with the old TCP version."
PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>MPTCP?</title><h1>{sentence}</h1></html>\n'
BACKLOG = 1024
IDLE_SECONDS = 60
DIGESTS = Digests()


class Server(ThreadingHTTPServer):
    """Listens for MPTCP, which also takes plain TCP, or for plain TCP only."""

    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, host: str, port: int, *, mptcp: bool, handler: type[Handler] | None = None) -> None:
        """`OSError` when the address is taken, or when the kernel has no MPTCP."""
        super().__init__((host, port), handler or Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP if mptcp else 0)
        try:
            self.server_bind()
            self.server_activate()
        except BaseException:
            self.server_close()
            raise

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is worth no traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    protocol_version = "HTTP/1.1"
    server_version = "mpsocks-testbed"
    sys_version = ""
    timeout = IDLE_SECONDS
    # Without it, the header of an answer waits for the acknowledgement of the one before.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/":
            self._greet()
        elif path == "/connection.json":
            self._describe()
        elif match := re.fullmatch(r"/bytes/([^/.]+)(\.sha256)?", path):
            self._count(match[1], digest_only=match[2] is not None)
        else:
            self._text(HTTPStatus.NOT_FOUND, "there are /, /connection.json, /bytes/N and /bytes/N.sha256\n")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _greet(self) -> None:
        sentence = YAY if inspect(self.connection).mptcp else NAY
        if "text/html" in self.headers.get("Accept", ""):
            self._text(HTTPStatus.OK, PAGE.format(sentence=sentence), "text/html")
        else:
            self._text(HTTPStatus.OK, f"{sentence}\n")

    def _describe(self) -> None:
        host, port = self.client_address[:2]
        facts = {"client": host, "port": port, **asdict(inspect(self.connection))}
        self._text(HTTPStatus.OK, json.dumps(facts) + "\n", "application/json")

    def _count(self, text: str, *, digest_only: bool) -> None:
        try:
            count = parse_count(text)
        except ValueError as error:
            self._text(HTTPStatus.BAD_REQUEST, f"{error}\n")
            return
        if digest_only:
            self._text(HTTPStatus.OK, f"{DIGESTS.of_first(count)}\n")
        else:
            self._octets(count)

    def _octets(self, count: int) -> None:
        start, stop = self._wanted(count)
        if start >= stop and count:
            self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, {"Content-Range": f"bytes */{count}"})
            return
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        headers["X-SHA256"] = DIGESTS.of_first(count)
        if stop - start == count:
            self._head(HTTPStatus.OK, count, headers)
        else:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{count}"
            self._head(HTTPStatus.PARTIAL_CONTENT, stop - start, headers)
        if self.command == "GET":
            for piece in pieces(start, stop):
                self._send(piece)

    def _send(self, octets: memoryview) -> None:
        self.connection.sendall(octets)

    def _wanted(self, count: int) -> tuple[int, int]:
        """Start and end of the single range that was asked for (RFC 9110, 14.1.2); any other form is ignored."""
        match = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", self.headers.get("Range", ""))
        if not match or not (match[1] or match[2]):
            return 0, count
        if not match[1]:
            return max(0, count - int(match[2])), count
        return int(match[1]), min(count, int(match[2]) + 1) if match[2] else count

    def _text(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        octets = text.encode()
        self._head(status, len(octets), {"Content-Type": f"{kind}; charset=utf-8", "Cache-Control": "no-store"})
        if self.command == "GET":
            self.connection.sendall(octets)

    def _head(self, status: HTTPStatus, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()
