"""Which of this host's addresses to tell, or to send from."""

from __future__ import annotations

from collections.abc import Sequence
from socket import AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_DGRAM, AddressFamily, SocketType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy.session import Session

ANY_HOST = {AF_INET: "0.0.0.0", AF_INET6: "::"}
_ELSEWHERE = {AF_INET: "192.0.2.1", AF_INET6: "2001:db8::1"}
"""Nobody has these (RFC 5737, RFC 3849): they stand for the world beyond the default route. Nothing is sent there."""


def family_of(host: str) -> AddressFamily:
    """Of an address in text form."""
    return AF_INET6 if ":" in host else AF_INET


def plain(host: str) -> str:
    """Without the scope that the kernel's addresses have when they are link-local: no protocol here can carry it."""
    return host.partition("%")[0]


def reached_at(client: SocketType) -> tuple[Any, ...]:
    """The address by which a client reaches this host, as `bind` takes it; the port is 0. Raises OSError."""
    name = client.getsockname()
    return name[0], 0, *name[2:]


def source_towards(host: str) -> str | None:
    """The address of ours that packets to `host` have; None if there is no route."""
    name = _source(family_of(host), (host, 9))
    return None if name is None else plain(name[0])


def outward_host(family: int, sources: Sequence[str]) -> str | None:
    """The address by which the world knows us: the first of the configured ones, else the default route's."""
    configured = next((host for host in sources if family_of(host) == family), None)
    return configured or source_towards(_ELSEWHERE[AddressFamily(family)])


def told_host(session: Session, bound: str, towards: str = "") -> str:
    """The address to tell remote hosts, for a socket that is bound to this one.

    If that is any: the one that `towards` sees, or the world; if there is no route, the one that the client uses.
    """
    if bound not in ANY_HOST.values():
        return bound
    family = family_of(bound)
    outward = source_towards(towards) if towards else outward_host(family, session.worker.options.outward.sources)
    if outward is not None:
        return outward
    try:
        reached = plain(reached_at(session.client)[0])
    except OSError:  # a client behind TLS that has gone already
        return bound
    return reached if family_of(reached) is family else bound


def _source(family: int, address: tuple[Any, ...]) -> tuple[Any, ...] | None:
    sock = None
    try:
        sock = SocketType(family, SOCK_DGRAM | SOCK_CLOEXEC)
        sock.connect(address)
        name: tuple[Any, ...] = sock.getsockname()
    except OSError:
        return None
    finally:
        if sock is not None:
            sock.close()
    return name
