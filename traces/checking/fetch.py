"""Fetching a URL through the guest, by SOCKS or by a route, and what came of it."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from lab.errors import BadInputError, MpsocksError
from lab.runner import Argument, Runner

Address = IPv4Address | IPv6Address

# A page's own words for "this connection was MPTCP", and for the contrary.
YES = ("Yay, you are MPTCP-capable", "You are using MPTCP")
NO = ("Nay,", "You are not using MPTCP", "You are NOT using MPTCP")
BEGINNING = 4096
CONNECT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads."""

    url: str
    host: str
    port: int
    addresses: tuple[Address, ...] = ()
    """Every address of the host that is known: a connection may go to any of them."""

    @property
    def endpoints(self) -> frozenset[tuple[Address, int]]:
        return frozenset((address, self.port) for address in self.addresses)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch gave; `error` says why it is not the whole."""

    size: int
    sha256: str
    text: str
    """The beginning of the body."""
    error: str = ""


def parse_target(url: str) -> Target:
    """Where `url` leads, its host not yet resolved; `BadInputError` when it is no HTTP URL."""
    scheme, name, port = _parts(url)
    if scheme not in ("http", "https") or not name:
        raise BadInputError(
            f"{url!r} is not a URL that can be fetched", hint="give one that begins with http:// or https://"
        )
    return Target(url, name, port or socket.getservbyname(scheme))


def _parts(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of a URL; empty ones when it is malformed."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        return "", "", None


def resolve(target: Target, runner: Runner, families: Collection[int]) -> Target:
    """The target with the addresses that its host has as seen from there, besides those that are known already.

    Only addresses of these families (4 and 6) count, and none when the name does not resolve.
    """
    found = runner.probe("getent", "ahosts", "--", target.host)
    # One line for each address and type of socket.
    addresses = [ip_address(line.split()[0]) for line in found.stdout.splitlines()] if found.ok else []
    # What is link-local here is another host elsewhere.
    usable = [address for address in addresses if address.version in families and not address.is_link_local]
    return dataclasses.replace(target, addresses=tuple(dict.fromkeys([*target.addresses, *usable])))


def curl_argv(target: Target, seconds: int, socks: str, body: Path) -> tuple[Argument, ...]:
    """The curl that fetches to `body` within `seconds`, by the SOCKS5 server at `socks`, or by routes when empty."""
    return (
        # Whoever runs this may have a .curlrc: --disable counts only as the first option. Brackets in a URL are meant.
        *("curl", "--disable", "--globoff", "--silent", "--show-error", "--fail", "--noproxy", "" if socks else "*"),
        *("--connect-timeout", str(CONNECT_SECONDS), "--max-time", str(seconds)),
        *(("--socks5-hostname", socks) if socks else _resolved(target)),
        *("--output", body, "--", target.url),
    )


def _resolved(target: Target) -> tuple[str, ...]:
    """curl's options to go only to the addresses that are known, since only those are routed."""
    if ":" in target.host:
        return ()  # an IPv6 address, which nobody needs to look up
    addresses = ",".join(f"[{address}]" if address.version == 6 else str(address) for address in target.addresses)
    return ("--resolve", f"{target.host}:{target.port}:{addresses}")


def fetch(host: Runner, target: Target, seconds: int, socks: str = "") -> Fetched:
    """Fetch with curl within `seconds`; through the SOCKS5 server at `socks`, or by the host's routes when empty."""
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.touch()  # curl makes no file of an empty body
        done = host.probe(*curl_argv(target, seconds, socks, body))
        if not done.ok:
            return Fetched(0, "", "", done.stderr.strip() or f"curl ended with exit code {done.exit_code}")
        with body.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            return Fetched(body.stat().st_size, digest, file.read(BEGINNING).decode(errors="replace"))


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
