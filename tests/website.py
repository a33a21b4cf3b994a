"""A small web site that remembers who asked it for what: a page, and all that a browser needs to show it."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

IDLE_SECONDS = 60
IMAGES = 6
PIXELS = 512
WORDS = "hello from a script"
TOLD = f'<p id="told">{WORDS}; rgb(1, 2, 3); {" ".join([str(PIXELS)] * IMAGES)}</p>'
"""What the page holds once its script has run: the words of its data, the stylesheet's colour, the images' widths."""

_PAGE = f"""<!doctype html>
<title>A page with subresources</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
<p id="told">nothing yet</p>
{"".join(f'<img src="{number}.bmp">' for number in range(IMAGES))}
<script src="script.js"></script>
"""
_SCRIPT = """addEventListener("load", async () => {
  const told = document.getElementById("told");
  const { words } = await (await fetch("data.json")).json();
  const widths = Array.from(document.images, image => image.naturalWidth);
  told.textContent = [words, getComputedStyle(told).color, widths.join(" ")].join("; ");
});
"""


def _bitmap(side: int) -> bytes:
    """A square picture (BMP, 24 bits a pixel), large for what it shows: there is something to carry."""
    pixels = bytes(range(256)) * (side * side * 3 // 256)
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(pixels), 0, 0, 14 + len(header)) + header + pixels


CONTENT: dict[str, tuple[str, bytes]] = {
    "/": ("text/html; charset=utf-8", _PAGE.encode()),
    "/style.css": ("text/css", b"p { color: rgb(1, 2, 3) }"),
    "/script.js": ("text/javascript", _SCRIPT.encode()),
    "/data.json": ("application/json", json.dumps({"words": WORDS}).encode()),
    **{f"/{number}.bmp": ("image/bmp", _bitmap(PIXELS)) for number in range(IMAGES)},
}
"""By path: the media type and the octets."""
OCTETS = sum(len(octets) for _, octets in CONTENT.values())


class Website:
    """Serves on a listening socket, which is the caller's to close, until the block ends."""

    def __init__(self, listener: socket.socket) -> None:
        self.port = int(listener.getsockname()[1])
        self._server = _Server(listener)
        self._serving = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def peers(self) -> list[str]:
        """The address that each connection came from."""
        return list(self._server.peers)

    @property
    def asked(self) -> list[str]:
        """The path of every request."""
        return list(self._server.asked)

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    # So that closing waits for the threads of the connections.
    daemon_threads = False

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener.dup()
        self.peers: list[str] = []
        self.asked: list[str] = []

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, peer = super().get_request()
        self.peers.append(peer[0])
        return connection, peer

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser ends without a word: what was still open is reset, which is worth no traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Without it, the header of an answer waits for the acknowledgement of the one before.
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path not in CONTENT:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        kind, octets = CONTENT[self.path]
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_: object) -> None:
        """Nothing: `asked` has it."""
