"""The web server by itself, on the loopback device."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator

import pytest

from lab.testbed.web.octets import BLOCK, MAX_OCTETS, Digests, parse_count, pieces
from lab.testbed.web.server import NAY, Server
from tests.lab.testbed.inside import fetch


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with Server("127.0.0.1", 0, mptcp=False) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def stream(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connected:
        yield connected


def test_curl_is_told_in_one_line(stream: socket.socket) -> None:
    answer = fetch(stream, "/", Accept="*/*")
    assert answer.text == f"{NAY}\n"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_browser_is_told_in_html(stream: socket.socket) -> None:
    answer = fetch(stream, "/", Accept="text/html,application/xhtml+xml")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"<h1>{NAY}</h1>" in answer.text


def test_a_plain_connection_has_no_subflows_to_tell_of(stream: socket.socket) -> None:
    host, port = stream.getsockname()
    assert fetch(stream, "/connection.json").data == {
        "client": host, "port": port, "mptcp": False, "subflows": None, "token": None,
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/bytes/0", "/bytes/1", "/bytes/100k", f"/bytes/{BLOCK}", "/bytes/3M"])
def test_the_octets_are_those_that_the_digest_promises(stream: socket.socket, path: str) -> None:
    answer = fetch(stream, path)
    digest = hashlib.sha256(answer.body).hexdigest()
    assert len(answer.body) == parse_count(path.removeprefix("/bytes/"))
    assert answer.headers["X-SHA256"] == digest
    assert fetch(stream, f"{path}.sha256").text == f"{digest}\n"


def test_a_range_is_cut_out_of_the_same_octets(stream: socket.socket) -> None:
    whole = fetch(stream, "/bytes/1100k").body
    for wanted, expected in (
        ("bytes=10-19", whole[10:20]),
        (f"bytes={BLOCK - 3}-{BLOCK + 2}", whole[BLOCK - 3 : BLOCK + 3]),
        ("bytes=1099990-", whole[-10:]),
        ("bytes=-7", whole[-7:]),
    ):
        answer = fetch(stream, "/bytes/1100k", Range=wanted)
        assert (answer.status, answer.body) == (206, expected)
    assert answer.headers["Content-Range"] == "bytes 1099993-1099999/1100000"


def test_a_range_beyond_the_end_is_refused_and_the_connection_lives_on(stream: socket.socket) -> None:
    answer = fetch(stream, "/bytes/100", Range="bytes=100-")
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */100")
    assert fetch(stream, "/bytes/5").status == 200


def test_head_has_the_headers_and_no_body(stream: socket.socket) -> None:
    answer = fetch(stream, "/bytes/20M", method="HEAD")
    assert (answer.headers["Content-Length"], answer.body) == ("20000000", b"")
    assert fetch(stream, "/").status == 200


@pytest.mark.parametrize("path", ["/bytes/-1", "/bytes/1.5M", "/bytes/2G", "/bytes/1T", "/bytes/", "/other"])
def test_what_it_does_not_serve_it_refuses(stream: socket.socket, path: str) -> None:
    assert fetch(stream, path).status in {400, 404}
    assert fetch(stream, "/").status == 200


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("20M", 20_000_000), ("20Mi", 20 << 20), ("1Gi", MAX_OCTETS), ("3k", 3000)]
)
def test_counts_may_carry_a_unit(text: str, count: int) -> None:
    assert parse_count(text) == count


def test_no_64_octets_of_the_stream_occur_twice() -> None:
    stream = b"".join(pieces(0, 2 * BLOCK + 64))
    windows = {stream[start : start + 64] for start in range(0, len(stream), 64)}
    assert len(windows) == len(stream) // 64


def test_a_digest_does_not_depend_on_what_was_asked_before() -> None:
    used = Digests()
    counts = (3 * BLOCK, BLOCK + 1, BLOCK, 0, 3 * BLOCK)
    assert [used.of_first(count) for count in counts] == [Digests().of_first(count) for count in counts]
    assert used.of_first(BLOCK + 1) == hashlib.sha256(b"".join(pieces(0, BLOCK + 1))).hexdigest()
