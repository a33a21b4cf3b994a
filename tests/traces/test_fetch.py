"""Fetching with curl, and reading what the page says."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import BadInputError
from lab.runner import Runner
from traces.fetch import Target, fetch, resolve_target, sentence

BODY = b"Yay, you are MPTCP-capable! You can now rest in peace.\n"
PATIENCE = 20


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_words: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    """A web server on loopback."""
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        serving.join()


def test_a_fetch_tells_size_digest_and_beginning(here: Runner, url: str) -> None:
    fetched = fetch(here, resolve_target(url, here), PATIENCE)
    assert (fetched.size, fetched.text, fetched.error) == (len(BODY), BODY.decode(), "")
    assert fetched.sha256 == hashlib.sha256(BODY).hexdigest()


def test_a_configured_proxy_is_not_asked(here: Runner, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert fetch(here, resolve_target(url, here), PATIENCE).error == ""


def test_a_socks_server_that_does_not_answer_is_an_error_and_no_way_around(here: Runner, url: str) -> None:
    fetched = fetch(here, resolve_target(url, here), PATIENCE, socks="127.0.0.1:9")
    assert fetched.size == 0
    assert "127.0.0.1" in fetched.error


def test_a_page_that_is_not_there_is_an_error(here: Runner, url: str) -> None:
    assert "404" in fetch(here, resolve_target(f"{url}missing", here), PATIENCE).error


@pytest.mark.parametrize(
    ("url", "port"), [("http://localhost/x", 80), ("https://localhost", 443), ("http://localhost:8080/", 8080)]
)
def test_a_url_is_resolved_to_an_address_and_a_port(here: Runner, url: str, port: int) -> None:
    assert resolve_target(url, here) == Target(url, "localhost", port, "127.0.0.1")


@pytest.mark.parametrize(
    "url",
    ["", "mptcp.test", "ftp://mptcp.test/", "http://", "file:///etc/passwd", "http://localhost:99999/", "http://[::1/"],
)
def test_what_is_no_web_address_is_refused(here: Runner, url: str) -> None:
    with pytest.raises(BadInputError, match="is not a URL") as refused:
        resolve_target(url, here)
    assert "http://" in refused.value.hint


@pytest.mark.netns
def test_a_name_that_does_not_resolve_is_refused(netns: Runner, tmp_path: Path) -> None:
    """In a namespace without a way out, so that no one is asked."""
    with pytest.raises(BadInputError, match=r"mptcp\.invalid does not resolve") as refused:
        resolve_target("http://mptcp.invalid/", netns)
    assert "resolv.conf" in refused.value.hint


@pytest.mark.parametrize(
    ("page", "said", "words"),
    [
        ("<html>\n  Yay, you are MPTCP-capable! You can now rest in peace.\n", True, "Yay, you are MPTCP-capable!"),
        ("Nay, Nay, Nay, your have to install MPTCP.", False, "Nay, Nay, Nay"),
        ("<h1>You are using MPTCP.</h1>", True, "You are using MPTCP"),
        ("<h1>You are not using MPTCP.</h1>", False, "You are not using MPTCP"),
        ("You are NOT using MPTCP", False, "You are NOT using"),
        ("404 Not Found", None, ""),
        ("", None, ""),
    ],
)
def test_the_sentence_of_a_check_page(page: str, said: bool | None, words: str) -> None:
    found, line = sentence(page)
    assert found is said
    assert words in line
