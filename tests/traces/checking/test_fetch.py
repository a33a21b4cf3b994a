"""Fetching with curl, and reading what the page says."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from lab.errors import BadInputError
from lab.runner import Runner
from tests.conftest import namespace_name
from traces.checking.fetch import Address, Target, curl_argv, fetch, parse_target, resolve, sentence

BODY = b"Yay, you are MPTCP-capable! You can now rest in peace.\n"
PATIENCE = 20
V4, OTHER_V4, V6 = (ip_address(text) for text in ("203.0.113.10", "203.0.113.11", "2001:db8::10"))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"" if self.path == "/empty" else BODY
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", str(len(body) + (1 if self.path == "/cut" else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Tests are quiet."""


@contextmanager
def serving(server: http.server.HTTPServer) -> Iterator[int]:
    """Serve until the block ends; yields the port."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def url() -> Iterator[str]:
    """A web server on loopback."""
    with serving(http.server.HTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}/"


def target_of(host: Runner, url: str) -> Target:
    return resolve(parse_target(url), host, {4, 6})


def test_a_fetch_tells_size_digest_and_beginning(here: Runner, url: str) -> None:
    fetched = fetch(here, target_of(here, url), PATIENCE)
    assert (fetched.size, fetched.text, fetched.error) == (len(BODY), BODY.decode(), "")
    assert fetched.sha256 == hashlib.sha256(BODY).hexdigest()


def test_a_configured_proxy_is_not_asked(here: Runner, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert fetch(here, target_of(here, url), PATIENCE).error == ""


def test_a_socks_server_that_does_not_answer_is_an_error_and_no_way_around(here: Runner, url: str) -> None:
    fetched = fetch(here, target_of(here, url), PATIENCE, socks="127.0.0.1:9")
    assert fetched.size == 0
    assert "127.0.0.1" in fetched.error


def test_the_curlrc_of_whoever_runs_it_is_not_read(
    here: Runner, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".curlrc").write_text("max-filesize = 1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CURL_HOME", str(tmp_path))
    assert fetch(here, target_of(here, url), PATIENCE).text == BODY.decode()


def test_brackets_and_braces_in_a_url_are_meant(here: Runner, url: str) -> None:
    assert fetch(here, target_of(here, f"{url}?a={{b&c=[d-"), PATIENCE).text == BODY.decode()


def test_an_empty_body_is_no_error(here: Runner, url: str) -> None:
    fetched = fetch(here, target_of(here, f"{url}empty"), PATIENCE)
    assert (fetched.size, fetched.text, fetched.error) == (0, "", "")


def test_a_body_that_is_cut_short_is_an_error(here: Runner, url: str) -> None:
    assert "closed" in fetch(here, target_of(here, f"{url}cut"), PATIENCE).error


def test_only_addresses_that_are_known_are_fetched_from(here: Runner, url: str) -> None:
    """Others are not routed through the guest."""
    target = dataclasses.replace(
        target_of(here, url), host="mptcp.invalid", url=url.replace("127.0.0.1", "mptcp.invalid")
    )
    assert fetch(here, target, PATIENCE).text == BODY.decode()


def test_every_known_address_is_tried_of_either_family(here: Runner) -> None:
    target = Target("http://mptcp.invalid/", "mptcp.invalid", 80, (V4, V6))
    assert f"mptcp.invalid:80:{V4},[{V6}]" in curl_argv(target, PATIENCE, "", Path("body"))


def test_an_ipv6_address_in_a_url_is_fetched_from(here: Runner) -> None:
    class Server(http.server.HTTPServer):
        address_family = socket.AF_INET6

    with serving(Server(("::1", 0), Handler)) as port:
        assert fetch(here, target_of(here, f"http://[::1]:{port}/"), PATIENCE).text == BODY.decode()


def test_a_page_that_is_not_there_is_an_error(here: Runner, url: str) -> None:
    assert "404" in fetch(here, target_of(here, f"{url}missing"), PATIENCE).error


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://mptcp.test/x", "mptcp.test", 80),
        ("https://mptcp.test", "mptcp.test", 443),
        ("http://mptcp.test:8080/", "mptcp.test", 8080),
        ("http://[2001:db8::1]:8080/", "2001:db8::1", 8080),
    ],
)
def test_a_url_leads_to_a_host_and_a_port(url: str, host: str, port: int) -> None:
    assert parse_target(url) == Target(url, host, port)


@pytest.mark.parametrize(
    "url",
    ["", "mptcp.test", "ftp://mptcp.test/", "http://", "file:///etc/passwd", "http://localhost:99999/", "http://[::1/"],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(BadInputError, match="is not a URL") as refused:
        parse_target(url)
    assert "http://" in refused.value.hint


@pytest.mark.netns
class TestNames:
    """In a namespace without a way out and with a /etc/hosts of its own, so that no one is asked."""

    @pytest.fixture
    def host(self, netns: Runner) -> Iterator[Runner]:
        folder = Path("/etc/netns", namespace_name(netns))
        folder.mkdir(parents=True)
        names = [f"{V4} many.test", f"{OTHER_V4} many.test", f"{V6} many.test", "fe80::1 near.test", f"{V4} near.test"]
        (folder / "hosts").write_text("\n".join([*names, f"{V6} six.test", ""]))
        # getent leaves out families of which the host has no address.
        netns.change("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
        netns.change("ip", "address", "add", "2001:db8::1/128", "dev", "lo")
        yield netns
        shutil.rmtree(folder)

    def addresses(self, host: Runner, name: str, *families: int, known: tuple[Address, ...] = ()) -> list[Address]:
        return sorted(resolve(Target("", name, 80, known), host, families).addresses, key=str)

    def test_every_address_of_a_name_counts(self, host: Runner) -> None:
        assert self.addresses(host, "many.test", 4, 6) == [V6, V4, OTHER_V4]

    @pytest.mark.parametrize(("family", "found"), [(4, [V4, OTHER_V4]), (6, [V6])])
    def test_but_only_of_families_that_can_be_reached(self, host: Runner, family: int, found: list[Address]) -> None:
        assert self.addresses(host, "many.test", family) == found

    def test_none_that_is_link_local(self, host: Runner) -> None:
        assert self.addresses(host, "near.test", 4, 6) == [V4]

    @pytest.mark.parametrize("address", [V4, V6])
    def test_an_address_is_itself(self, host: Runner, address: Address) -> None:
        assert self.addresses(host, str(address), 4, 6) == [address]

    def test_what_was_found_elsewhere_is_kept_and_told_once(self, host: Runner) -> None:
        elsewhere = ip_address("203.0.113.99")
        assert self.addresses(host, "near.test", 4, known=(elsewhere, V4)) == [V4, elsewhere]

    @pytest.mark.parametrize("name", ["mptcp.invalid", "-x"])
    def test_a_name_that_does_not_resolve_has_none(self, host: Runner, name: str) -> None:
        assert self.addresses(host, name, 4, 6) == []

    def test_a_name_without_an_address_that_can_be_reached_has_none(self, host: Runner) -> None:
        assert self.addresses(host, "six.test", 4) == []


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
