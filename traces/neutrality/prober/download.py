"""Timed downloads over plain TCP and over MPTCP with one subflow, in an order that cancels drifts."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from lab.testbed.web.connection import IPPROTO_MPTCP, inspect
from traces.neutrality.model import Transfer
from traces.neutrality.prober.packets import Address

CHUNK = 1 << 18
LONGEST_HEAD = 1 << 16
LONGEST_FAILURE = 120
FAILURES = 2
"""After so many in a row of one kind no more are tried: on such a path every further one would fail as slowly."""
HTTP_PORT = 80
SUCCESS = re.compile(r"HTTP/1\.[01] 2\d\d\b")
ABBA = (False, True, True, False)
"""Plain, MPTCP, MPTCP, plain: what grows or falls with time meets both alike."""


@dataclass(frozen=True, slots=True)
class Download:
    """What is fetched from where, within which bounds."""

    source: Address
    target: tuple[Address, int]
    host: str
    """For the Host field."""
    path: str
    octets: int
    """At most so many of the body are taken."""
    seconds: float
    """No download takes longer."""
    patience: float
    """Seconds within which the server must answer."""


class RefusalError(Exception):
    """The server answers, but with something else than what was asked for."""

    def __init__(self, status: str, redirect: str) -> None:
        super().__init__(status)
        self.status = status
        self.redirect = redirect


def pairs(download: Download, count: int) -> Iterator[tuple[Transfer, Transfer]]:
    """`count` pairs, plain TCP first in each, whichever was first in time. Fewer when the downloads fail."""
    failed = {False: 0, True: 0}
    for number in range(count):
        order = ABBA[:2] if number % 2 == 0 else ABBA[2:]
        made = {multipath: fetch(download, multipath=multipath) for multipath in order}
        yield made[False], made[True]
        failed = {kind: 0 if made[kind].complete else failed[kind] + 1 for kind in failed}
        if max(failed.values()) >= FAILURES:
            return


def fetch(download: Download, *, multipath: bool) -> Transfer:
    """One download. What fails or takes too long is an incomplete transfer, not an error."""
    deadline = time.monotonic() + download.seconds
    family = socket.AF_INET if download.source.version == 4 else socket.AF_INET6
    agreed, octets, seconds, complete, failure, redirect = False, 0, 0.0, False, "", ""
    try:
        # One that asked for MPTCP on a kernel without it could not even be tried, and that is an OSError, too.
        with socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP if multipath else 0) as stream:
            stream.settimeout(download.patience)
            stream.bind((str(download.source), 0))
            stream.connect((str(download.target[0]), download.target[1]))
            started = time.monotonic()
            stream.sendall(request(download))
            octets = _skip_head(stream, deadline)
            agreed = inspect(stream).mptcp
            octets, complete = _take(stream, download.octets, octets, deadline)
            seconds = time.monotonic() - started
            failure = "" if complete else f"the server ended after {octets} of {download.octets} octets"
    except RefusalError as error:
        failure, redirect = _printable(f"the server says {error.status!r}"), _printable(error.redirect)
    except OSError as error:
        failure = _printable(str(error) or "the time was up")
    return Transfer(multipath, agreed, octets, seconds, complete, failure, redirect)


def _printable(text: str) -> str:
    """A server's words are for a terminal and a page: neither is to take orders from it."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text[:LONGEST_FAILURE])


def request(download: Download) -> bytes:
    """Of a file that is longer only the beginning is asked for (RFC 9110 section 14.2)."""
    fields = (
        f"GET {download.path} HTTP/1.1",
        f"Host: {_authority(download)}",
        f"Range: bytes=0-{download.octets - 1}",
        "Accept-Encoding: identity",
        "Connection: close",
    )
    return "".join(f"{field}\r\n" for field in (*fields, "")).encode()


def _authority(download: Download) -> str:
    """As a browser names it (RFC 9110 section 7.2): an IPv6 address in brackets, a port if it is not the usual one."""
    host = f"[{download.host}]" if ":" in download.host else download.host
    port = download.target[1]
    return host if port == HTTP_PORT else f"{host}:{port}"


def _skip_head(stream: socket.socket, deadline: float) -> int:
    """How many octets of the body came along with the head. `RefusalError` when it tells of something else."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = _receive(stream, deadline)
        if not piece or len(head) > LONGEST_HEAD:
            raise ConnectionError("the server's answer ended within its head")
        head += piece
    status, *fields = head.partition(b"\r\n\r\n")[0].decode("ascii", "replace").split("\r\n")
    if not SUCCESS.match(status):
        raise RefusalError(status, _location(fields))
    return len(head) - head.index(b"\r\n\r\n") - 4


def _location(fields: list[str]) -> str:
    """Where a redirection leads (RFC 9110 section 10.2.2); empty when there is none."""
    named = (field.partition(":") for field in fields)
    return next((value.strip() for name, _, value in named if name.strip().lower() == "location"), "")


def _take(stream: socket.socket, wanted: int, got: int, deadline: float) -> tuple[int, bool]:
    """Octets of the body that came, and whether those are all that were wanted."""
    while got < wanted:
        piece = _receive(stream, deadline)
        if not piece:
            break
        got += len(piece)
    return got, got >= wanted


def _receive(stream: socket.socket, deadline: float) -> bytes:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    stream.settimeout(left)
    return stream.recv(CHUNK)
