"""Timed downloads from a server on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address

import pytest

from lab.testbed.web.server import Handler, Server
from traces.neutrality.model import Transfer
from traces.neutrality.prober.download import FAILURES, Download, fetch, pairs, request

LOOPBACK = ip_address("127.0.0.1")


class QuietHandler(Handler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=[True, False], ids=["MPTCP server", "plain server"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Download, bool]]:
    """A download that a server can satisfy, and whether it speaks MPTCP."""
    server = Server("127.0.0.1", 0, mptcp=request.param, handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield download_from(server.server_port), request.param
    server.shutdown()
    thread.join()
    server.server_close()


def download_from(port: int) -> Download:
    return Download(LOOPBACK, (LOOPBACK, port), "mptcp.test", "/bytes/300000", 200_000, seconds=10, patience=2)


def test_mptcp_is_agreed_when_both_speak_it(served: tuple[Download, bool]) -> None:
    download, speaks = served
    plain, multipath = fetch(download, multipath=False), fetch(download, multipath=True)
    assert (plain.multipath, plain.agreed, plain.complete) == (False, False, True)
    assert (multipath.multipath, multipath.agreed, multipath.complete) == (True, speaks, True)
    assert plain.octets == multipath.octets == 200_000
    assert min(plain.seconds, multipath.seconds) > 0


def test_pairs_have_plain_tcp_first_and_the_order_in_time_turns(served: tuple[Download, bool]) -> None:
    download, _ = served
    asked: list[bool] = []

    def watched(download: Download, *, multipath: bool) -> Transfer:
        asked.append(multipath)
        return fetch(download, multipath=multipath)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("traces.neutrality.prober.download.fetch", watched)
        made = list(pairs(download, 4))
    assert asked == [False, True, True, False, False, True, True, False]
    assert [(plain.multipath, multipath.multipath) for plain, multipath in made] == [(False, True)] * 4


@pytest.mark.parametrize(
    ("path", "failure"),
    [
        ("/nothing", "the server says 'HTTP/1.1 404 Not Found'"),
        ("/bytes/1000", "the server ended after 1000 of 200000 octets"),
    ],
)
def test_less_than_was_asked_for_is_incomplete(served: tuple[Download, bool], path: str, failure: str) -> None:
    transfer = fetch(replace(served[0], path=path), multipath=False)
    assert (transfer.complete, transfer.failure) == (False, failure)


@contextmanager
def answering(octets: bytes) -> Iterator[Download]:
    """A server of one connection that says just that, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            accepted, _ = listener.accept()
            with accepted:
                accepted.recv(1 << 16)
                accepted.sendall(octets)

        thread = threading.Thread(target=answer)
        thread.start()
        yield download_from(listener.getsockname()[1])
        thread.join()


@pytest.mark.parametrize(
    ("octets", "failure"),
    [
        (b"garbage\r\n\r\n", "the server says 'garbage'"),
        (b"\r\n\r\n", "the server says ''"),
        (b"HTTP/1.1 302 \x1b[2J\xff\r\nLocation: \x1b]0;\x07\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\n", "the server's answer ended within its head"),
        (b"HTTP/1.1 404 " + b"x" * 1000 + b"\r\n\r\n", None),
    ],
)
def test_a_server_that_says_something_else_is_quoted_in_printable_letters(octets: bytes, failure: str | None) -> None:
    with answering(octets) as download:
        transfer = fetch(download, multipath=False)
    assert not transfer.complete
    assert failure is None or transfer.failure == failure
    assert 0 < len(transfer.failure) <= 120
    assert transfer.failure.isascii()
    assert transfer.failure.isprintable()


def test_a_port_that_nobody_listens_on_ends_the_pairs_early() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        made = list(pairs(download_from(unused.getsockname()[1]), 10))
    assert len(made) == FAILURES
    assert not any(transfer.complete for pair in made for transfer in pair)


def test_a_server_that_says_nothing_does_not_hold_one_up_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        transfer = fetch(replace(download_from(silent.getsockname()[1]), seconds=0.2), multipath=False)
    assert (transfer.octets, transfer.complete) == (0, False)


def test_where_a_redirection_leads_is_kept() -> None:
    with answering(b"HTTP/1.1 302 Found\r\nServer: x\r\nlocation: http://portal.test/\x07\r\n\r\n") as download:
        transfer = fetch(download, multipath=False)
    assert (transfer.failure, transfer.redirect) == ("the server says 'HTTP/1.1 302 Found'", "http://portal.test/?")


@pytest.mark.parametrize(
    ("host", "port", "named"),
    [
        ("mptcp.test", 80, "mptcp.test"),
        ("mptcp.test", 8080, "mptcp.test:8080"),
        ("2001:db8::7", 80, "[2001:db8::7]"),
        ("2001:db8::7", 81, "[2001:db8::7]:81"),
    ],
)
def test_a_server_is_named_as_a_browser_names_it(host: str, port: int, named: str) -> None:
    head = request(replace(download_from(port), host=host)).decode()
    assert f"\r\nHost: {named}\r\n" in head
