"""Fetching a URL through the guest, by SOCKS or by a route, and what came of it."""

from __future__ import annotations

import hashlib
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lab.errors import BadInputError, MpsocksError
from lab.runner import Runner

# A page's own words for "this connection was MPTCP", and for the contrary.
YES = ("Yay, you are MPTCP-capable", "You are using MPTCP")
NO = ("Nay,", "You are not using MPTCP", "You are NOT using MPTCP")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads."""

    url: str
    host: str
    port: int
    address: str
    """One address of the host, as the lab host resolves it."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch gave; `error` says why there is nothing."""

    size: int
    sha256: str
    text: str
    """The beginning of the body."""
    error: str = ""


def resolve_target(url: str, host: Runner) -> Target:
    """Find out where `url` leads; `BadInputError` when it is no HTTP URL or its name does not resolve."""
    scheme, name, port = _parts(url)
    if scheme not in ("http", "https") or not name:
        raise BadInputError(
            f"{url!r} is not a URL that can be fetched", hint="give one that begins with http:// or https://"
        )
    found = host.probe("getent", "ahostsv4", name)
    if not found.ok or not found.stdout.split():
        raise BadInputError(
            f"the name {name} does not resolve on the lab host",
            hint="check the URL and the host's /etc/resolv.conf",
        )
    return Target(url, name, port or socket.getservbyname(scheme), found.stdout.split()[0])


def _parts(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of a URL; empty ones when it is malformed."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        return "", "", None


def fetch(host: Runner, target: Target, seconds: int, socks: str = "") -> Fetched:
    """Fetch with curl within `seconds`; through the SOCKS5 server at `socks`, or by the host's routes when empty."""
    way = ("--socks5-hostname", socks) if socks else ("--resolve", f"{target.host}:{target.port}:{target.address}")
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        done = host.probe(
            *("curl", "--silent", "--show-error", "--fail", "--noproxy", "" if socks else "*"),
            *("--connect-timeout", "20", "--max-time", str(seconds)),
            *(*way, "--output", body, "--", target.url),
        )
        if not done.ok or not body.exists():
            return Fetched(0, "", "", done.stderr.strip() or f"curl ended with exit code {done.exit_code}")
        octets = body.read_bytes()
    return Fetched(len(octets), hashlib.sha256(octets).hexdigest(), octets[:4096].decode(errors="replace"))


def sentence(page: str) -> tuple[bool | None, str]:
    """Whether a check page says that it was fetched over MPTCP (none: it does not say), and the line that says so."""
    for line in page.splitlines():
        if any(words in line for words in YES):
            return True, line.strip()
        if any(words in line for words in NO):
            return False, line.strip()
    return None, ""


def require_curl(host: Runner) -> None:
    """Refuse to start without curl."""
    if not host.probe("which", "curl").ok:
        raise MpsocksError("curl is missing on the lab host", hint="apt-get install curl")
