"""Timed downloads from a server on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from lab.testbed.web.server import Handler, Server
from traces.neutrality.model import Transfer
from traces.neutrality.prober.download import FAILURES, Download, fetch, pairs

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


@pytest.mark.parametrize("path", ["/nothing", "/bytes/1000"], ids=["no such file", "a file that is too short"])
def test_less_than_was_asked_for_is_incomplete(served: tuple[Download, bool], path: str) -> None:
    assert not fetch(replace(served[0], path=path), multipath=False).complete


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
