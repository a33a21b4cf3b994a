"""The parts of TLS that can be tried alone: the session's end of the pair, and what is left when a session is over."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from proxy import certificate
from proxy.log import Log
from proxy.loop import Loop
from proxy.plain import Plain
from proxy.tls import Termination
from tests.proxy.peers import connected_socket, listening_socket, receive_all
from tests.proxy.running import PATIENCE
from tests.proxy.tls_client import TlsClient, certify


def test_a_client_that_leaves_the_last_octets_unread_is_cut_in_time(tmp_path: Path) -> None:
    """The session has ended well, but not all that it said fits into the client's buffers."""
    tls = certify(tmp_path)
    loop = Loop(tick_seconds=PATIENCE, on_tick=lambda: loop.stop())  # noqa: PLW0108 -- it has no name yet
    over: list[Termination] = []

    class Owner:
        def __init__(self) -> None:
            self.loop = loop
            self.log = Log()

        def terminated(self, termination: Termination) -> None:
            over.append(termination)
            loop.stop()

    class SaysMuch:
        """A session that ends as soon as its end of the pair is full."""

        def ready(self, _mask: int) -> None:
            with suppress(BlockingIOError):
                while True:
                    termination.plain.send(bytes(1 << 16), socket.MSG_DONTWAIT)
            loop.bury(termination.plain)

        def crashed(self, error: Exception) -> None:
            raise error

    with listening_socket() as listener, connected_socket(listener.getsockname()) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        accepted = socket.SocketType(-1, -1, -1, listener.accept()[0].detach())
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        termination = Termination(Owner(), accepted, certificate.load(tls), 0.2)
        termination.begin(pytest.fail)
        with ThreadPoolExecutor(1) as pool:
            shaken = pool.submit(TlsClient, sock, tls.certificate)
            shaken.add_done_callback(lambda _: loop.post(SaysMuch()))
            loop.run()
            client = shaken.result()
        loop.close()
        assert over == [termination]
        assert termination.plain.cut
        with pytest.raises(ConnectionResetError):
            receive_all(client)  # type: ignore[arg-type]


def test_options_for_the_client_are_set_on_its_own_socket() -> None:
    with listening_socket() as listener, connected_socket(listener.getsockname()) as client:
        accepted, peer = listener.accept()
        ours, theirs = socket.socketpair()
        with accepted, ours:
            plain = Plain(theirs.detach(), accepted)
            plain.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x28)
            assert accepted.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x28
            assert plain.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x28
            assert (plain.family, plain.getpeername()) == (socket.AF_INET, peer)
            assert plain.getsockname() == client.getpeername()
            assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            accepted.close()
            plain.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x28)
            plain.close()
            assert ours.recv(1) == b""
