"""The TLS listener: clients behind it are served like all others, ends and resets included."""

from __future__ import annotations

import os
import random
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from codec.client import ClientConnection
from codec.errors import RemoteProtocolError
from codec.reply import ReplyCode
from proxy.options import Tls
from tests.proxy.peers import (
    EITHER_VERSION,
    MakeRequest,
    Tunnel,
    accepted_by,
    connected_socket,
    echo,
    exchange_unevenly,
    listening_socket,
    receive_all,
    receive_unevenly,
    reset,
    send_unevenly,
    serving,
    socks5_request,
    socks6_request,
)
from tests.proxy.running import LOOPBACK, PATIENCE, RunningProxy
from tests.proxy.tls_client import TlsClient, certify, tls_connection
from tests.proxy.waiting import eventually

MIB = 1 << 20


def arguments(tls: Tls, workers: int = 1) -> tuple[str, ...]:
    return (
        "serve", "--workers", str(workers), *LOOPBACK,
        "--set", 'listen=[{address="127.0.0.1:0",tls=true}]',
        "--set", f'tls={{certificate="{tls.certificate}",key="{tls.key}"}}',
    )  # fmt: skip


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return certify(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def proxy(tls: Tls) -> Iterator[RunningProxy]:
    with RunningProxy(*arguments(tls)) as running:
        yield running


def through(client: TlsClient, request: ClientConnection) -> Tunnel:
    """A tunnel through a TLS connection."""
    tunnel = Tunnel(client, request)  # type: ignore[arg-type]
    assert tunnel.code is ReplyCode.SUCCEEDED
    return tunnel


@contextmanager
def both_ends(
    address: tuple[str, int], tls: Tls, request: MakeRequest = socks5_request
) -> Iterator[tuple[TlsClient, socket.socket]]:
    """A connection through a proxy: the client's end, and the remote host's."""
    with listening_socket() as listener, tls_connection(address, tls.certificate) as client:
        assert not through(client, request("127.0.0.1", listener.getsockname()[1])).early
        with accepted_by(listener) as remote:
            yield client, remote


@EITHER_VERSION
def test_clients_are_served_behind_tls(proxy: RunningProxy, tls: Tls, request_: MakeRequest) -> None:
    with both_ends(proxy.address, tls, request_) as (client, remote):
        assert client.tls.version() == "TLSv1.3"
        exchange_unevenly(client, remote, MIB, seed=1)
        client.end()
        assert remote.recv(1) == b""
        remote.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        local = client.getsockname()
    line = proxy.connection(client=f"127.0.0.1:{local[1]}")
    assert (line["up"], line["down"], line["end"]) == (MIB, MIB, "closed")


@pytest.mark.parametrize(
    ("octets", "request_"),
    [(0, socks5_request), (1, socks6_request), (100_000, socks5_request), (4 * MIB, socks6_request)],
)
def test_no_octet_is_lost_either_way_and_ends_are_passed_on(
    proxy: RunningProxy, tls: Tls, octets: int, request_: MakeRequest
) -> None:
    """Each side sends, ends its direction and receives to the end, all at the same time."""

    def serve(connection: socket.socket) -> None:
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(send_unevenly, connection, octets, 1)
            sent.add_done_callback(lambda _: connection.shutdown(socket.SHUT_WR))
            digests["server received"] = receive_unevenly(connection, 2)
            digests["server sent"] = sent.result()

    digests: dict[str, str] = {}
    with serving(serve) as port, tls_connection(proxy.address, tls.certificate) as client:
        tunnel = through(client, request_("127.0.0.1", port))
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(send_unevenly, client, octets, 3)
            sent.add_done_callback(lambda _: client.end())
            received = receive_unevenly(client, 4, tunnel.early)
            client_sent = sent.result()
    assert digests == {"server sent": received, "server received": client_sent}


@pytest.mark.slow
def test_a_slow_reader_costs_little_memory_and_loses_nothing(proxy: RunningProxy, tls: Tls) -> None:
    octets = 64 * MIB
    stuck, digests = threading.Event(), []

    def serve(connection: socket.socket) -> None:
        digests.append(send_unevenly(_Watched(connection, stuck), octets, 5))
        connection.shutdown(socket.SHUT_WR)
        said.append(receive_unevenly(connection, 8))

    said: list[str] = []
    with serving(serve) as port, tls_connection(proxy.address, tls.certificate) as client:
        tunnel = through(client, socks5_request("127.0.0.1", port))
        before = resident(proxy.workers[0])
        assert stuck.wait(PATIENCE)
        assert resident(proxy.workers[0]) - before < 4 * MIB
        received = receive_unevenly(client, 6, tunnel.early)
        sent = send_unevenly(client, MIB, 9)
        client.end()
        assert client.recv(1) == b""
    assert [received] == digests
    assert [sent] == said


class _Watched:
    """Sets the event when nothing has been taken for a while."""

    def __init__(self, connection: socket.socket, stuck: threading.Event) -> None:
        self._connection = connection
        self._stuck = stuck

    def recv(self, most: int) -> bytes:
        return self._connection.recv(most)

    def sendall(self, octets: bytes) -> None:
        timer = threading.Timer(0.5, self._stuck.set)
        timer.start()
        try:
            self._connection.sendall(octets)
        finally:
            timer.cancel()


def resident(pid: int) -> int:
    """Octets of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_reset_by_the_remote_host_reaches_the_client(proxy: RunningProxy, tls: Tls) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(1)
        reset(connection)

    with serving(serve) as port, tls_connection(proxy.address, tls.certificate) as client:
        through(client, socks5_request("127.0.0.1", port))
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        local = client.getsockname()
    proxy.connection(client=f"127.0.0.1:{local[1]}", end="remote reset")


@pytest.mark.parametrize("how", ["reset", "end without close_notify"])
def test_a_connection_that_breaks_is_reset_at_the_remote_host(proxy: RunningProxy, tls: Tls, how: str) -> None:
    ended: list[bytes | type[Exception]] = []

    def serve(connection: socket.socket) -> None:
        assert connection.recv(1) == b"x"
        broken.set()
        try:
            ended.append(connection.recv(1))
        except ConnectionResetError as error:
            ended.append(type(error))

    broken = threading.Event()
    with serving(serve) as port, tls_connection(proxy.address, tls.certificate) as client:
        through(client, socks5_request("127.0.0.1", port))
        client.sendall(b"x")
        assert broken.wait(PATIENCE)
        local = client.getsockname()
        if how == "reset":
            reset(client.socket)
        else:
            client.socket.close()
        proxy.connection(client=f"127.0.0.1:{local[1]}", end="client reset")
    assert ended == [ConnectionResetError]


def test_a_refusal_is_told_and_ends(proxy: RunningProxy, tls: Tls) -> None:
    with listening_socket() as closed:
        port = closed.getsockname()[1]
    with tls_connection(proxy.address, tls.certificate) as client:
        tunnel = Tunnel(client, socks5_request("127.0.0.1", port))  # type: ignore[arg-type]
        assert tunnel.code is ReplyCode.CONNECTION_REFUSED
        assert client.recv(1) == b""


def test_who_does_not_speak_tls_is_closed(proxy: RunningProxy) -> None:
    with connected_socket(proxy.address) as sock:
        sock.sendall(b"\x05\x01\x00\x05\x01\x00\x03")
        local = sock.getsockname()
        with_alert = sock.recv(100)
    assert with_alert[:1] in (b"", b"\x15")
    assert proxy.connection(client=f"127.0.0.1:{local[1]}")["end"].startswith("tls: ")


def test_older_versions_of_tls_are_not_spoken(proxy: RunningProxy, tls: Tls) -> None:
    context = ssl.create_default_context(cafile=str(tls.certificate))
    context.check_hostname = False
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with connected_socket(proxy.address) as sock, pytest.raises(ssl.SSLError):
        context.wrap_socket(sock)


def test_a_client_that_does_not_finish_its_handshake_is_closed_in_time(tls: Tls) -> None:
    with (
        RunningProxy(*arguments(tls), "--set", "timeouts.handshake=0.3") as proxy,
        connected_socket(proxy.address) as sock,
    ):
        sock.sendall(b"\x16\x03\x01")
        assert receive_all(sock) == b""
        proxy.connection(end="handshake timed out")


def descriptors(proxy: RunningProxy) -> int:
    """Without the pipes that the pool keeps."""
    count = 0
    for path in Path(f"/proc/{proxy.workers[0]}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            count += not str(path.readlink()).startswith("pipe:")
    return count


def test_many_connections_leave_nothing_behind(proxy: RunningProxy, tls: Tls, echo_port: int) -> None:
    def one() -> tuple[str, int]:
        with tls_connection(proxy.address, tls.certificate) as client:
            through(client, socks5_request("127.0.0.1", echo_port))
            client.end()
            assert client.recv(1) == b""
            return client.getsockname()

    proxy.connection(client=f"127.0.0.1:{one()[1]}")
    before = descriptors(proxy)
    for _ in range(50):
        last = one()
    proxy.connection(client=f"127.0.0.1:{last[1]}")
    assert eventually(lambda: descriptors(proxy) <= before)


def misbehave(address: tuple[str, int], tls: Tls, port: int, seed: int) -> None:
    """A client that stops, breaks or babbles at a random moment."""
    chance = random.Random(seed)
    with connected_socket(address) as sock, suppress(OSError, ssl.SSLError, RemoteProtocolError):
        what = chance.choice(["garbage", "broken hello", "nothing", *["tls"] * 7])
        if what == "garbage":
            sock.sendall(chance.randbytes(200))
        elif what == "broken hello":
            sock.sendall(b"\x16\x03\x01\x02\x00\x01" + chance.randbytes(200))
        elif what == "tls":
            client = TlsClient(sock, tls.certificate)
            if chance.random() < 0.2:
                chance.choice((client, sock)).sendall(chance.randbytes(50))
            else:
                request: MakeRequest = chance.choice((socks5_request, socks6_request))
                Tunnel(client, request("127.0.0.1", port))  # type: ignore[arg-type]
                client.sendall(chance.randbytes(chance.randrange(1, 200_000)))
                steps: list[Callable[[], object]] = [client.end, lambda: client.recv(100_000), lambda: client.recv(1)]
                for step in chance.sample(steps, 2):
                    step()
        if chance.random() < 0.5:
            reset(sock)


@pytest.mark.slow
def test_whatever_clients_and_hosts_do_leaves_nothing_behind(tls: Tls) -> None:
    chance = random.Random(7)

    def serve(connection: socket.socket) -> None:
        with suppress(OSError):
            what = chance.choice(["reset", "say", "end", "echo"])
            if what == "reset":
                reset(connection)
            elif what == "echo":
                echo(connection)
            else:
                connection.sendall(bytes(chance.randrange(1, 300_000)))
                if what == "end":
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(100_000)

    short = ("--set", "timeouts={handshake=2,idle=2,half_closed=1}")
    with serving(serve) as port, RunningProxy(*arguments(tls), *short) as proxy, ThreadPoolExecutor(8) as pool:
        before = descriptors(proxy)
        list(pool.map(lambda seed: misbehave(proxy.address, tls, port, seed), range(200)))
        assert eventually(lambda: descriptors(proxy) <= before)
        assert not [line for line in proxy.lines if line["event"] == "defect"]


def test_draining_has_a_deadline(tls: Tls, echo_port: int) -> None:
    with (
        RunningProxy(*arguments(tls), "--set", "timeouts.drain=0.2") as proxy,
        tls_connection(proxy.address, tls.certificate) as client,
    ):
        through(client, socks5_request("127.0.0.1", echo_port))
        proxy.signal(signal.SIGTERM)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert proxy.wait() == 0


def test_connections_may_end_while_the_proxy_drains(tls: Tls) -> None:
    with RunningProxy(*arguments(tls)) as proxy, both_ends(proxy.address, tls, socks6_request) as (client, remote):
        proxy.signal(signal.SIGTERM)
        exchange_unevenly(client, remote, MIB, seed=10)
        client.end()
        assert remote.recv(1) == b""
        remote.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        assert proxy.wait() == 0


def test_a_certificate_that_is_replaced_is_shown_after_a_reload(tmp_path: Path, echo_port: int) -> None:
    first = certify(tmp_path)
    with RunningProxy(*arguments(first)) as proxy, both_ends(proxy.address, first) as (old, remote):
        shown = old.tls.getpeercert(True)
        certify(tmp_path)
        proxy.signal(signal.SIGHUP)
        proxy.wait_for(lambda line: line["event"] == "reloaded")
        with tls_connection(proxy.address, first.certificate) as client:
            assert client.tls.getpeercert(True) != shown
            through(client, socks5_request("127.0.0.1", echo_port))
        exchange_unevenly(old, remote, MIB, seed=11)


def test_out_of_descriptors_it_goes_on_with_those_it_has(tls: Tls, echo_port: int) -> None:
    with RunningProxy(*arguments(tls), nofile=64) as proxy, ExitStack() as held:
        first, remote = held.enter_context(both_ends(proxy.address, tls))
        waiting = [held.enter_context(connected_socket(proxy.address)) for _ in range(40)]
        exchange_unevenly(first, remote, MIB, seed=12)
        for sock in waiting:
            sock.close()
        with tls_connection(proxy.address, tls.certificate) as client:
            through(client, socks5_request("127.0.0.1", echo_port))
