"""Where the DNS service of SOCKSv6 leads: a CONNECT to port 53 of no address (draft-11 "DNS provided by SOCKS")."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from codec.address import Address
from proxy.options import HostPort

RESOLV_CONF = Path("/etc/resolv.conf")
PORT = 53
_NO_ADDRESS = ("0.0.0.0", "::")


def is_dns_service(destination: Address, port: int) -> bool:
    """Whether a CONNECT means the proxy's own DNS service, which speaks DNS over TCP (RFC 7766)."""
    return port == PORT and destination.host in _NO_ADDRESS


def nameserver(configured: HostPort | None, resolv_conf: Path = RESOLV_CONF) -> HostPort | None:
    """The server to connect those clients to: the one configured, else the first of this host; None if it has none."""
    if configured is not None:
        return configured
    try:
        lines = resolv_conf.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    for words in (line.split() for line in lines):
        if len(words) > 1 and words[0] == "nameserver" and _is_address(words[1]):
            return HostPort(words[1], PORT)
    return None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
