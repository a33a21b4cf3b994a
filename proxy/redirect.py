"""The socksifier's side of a session: a connection that a packet filter redirected here, and where it was going."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, IPPROTO_IP, IPPROTO_IPV6, SocketType, inet_ntop
from typing import TYPE_CHECKING

from codec.address import Address
from codec.reply import ReplyCode
from codec.socks6.option_list import Options

if TYPE_CHECKING:
    from proxy.session import Session

SO_ORIGINAL_DST = 80
"""linux/netfilter_ipv4.h; `IP6T_SO_ORIGINAL_DST` is the same number."""
_SOCKADDR_OCTETS = 28


class Redirected:
    """Stands where SOCKS has its handshake: the client is told nothing, and its destination is the kernel's to tell."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def ready(self, _mask: int) -> None:
        """Called once, by the loop: connect to where the client meant to go."""
        session = self._session
        if session.is_over:
            return
        session.protocol = "redirect"
        try:
            host, port = original_destination(session.client)
            own_host, own_port = session.client.getsockname()[:2]
        except OSError:
            session.end("not redirected", reset=True)
            return
        session.destination, session.port = Address.of(host), port
        if (host, port) == (own_host, own_port):
            # It came straight to the listener: connecting on would come straight back, for ever.
            session.end("loop", reset=True)
            return
        session.connect()

    def crashed(self, error: Exception) -> None:
        self._session.crashed(error)

    def connected(self, _remote: SocketType, _answers: Options) -> bool:
        return True

    def refused(self, _code: ReplyCode) -> None:
        self._session.reset_client()

    def early_data(self) -> bytes:
        return b""


def original_destination(sock: SocketType) -> tuple[str, int]:
    """Address and port that a redirected TCP connection was meant for. Raises OSError: MPTCP sockets cannot tell."""
    level = IPPROTO_IP if sock.family == AF_INET else IPPROTO_IPV6
    sockaddr = sock.getsockopt(level, SO_ORIGINAL_DST, _SOCKADDR_OCTETS)
    port = int.from_bytes(sockaddr[2:4], "big")
    if sock.family == AF_INET:
        return inet_ntop(AF_INET, sockaddr[4:8]), port
    return inet_ntop(AF_INET6, sockaddr[8:24]), port
