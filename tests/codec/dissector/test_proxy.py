"""Captures of the real proxy at work."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from codec.socks6.messages import OperationReply
from codec.socks6.option_list import Options
from codec.socks6.stack import Leg, Multipath, StackOption, Tos, Ttl
from tests.codec.dissector.conversations import GET, OK
from tests.codec.dissector.tshark import Frame, Tshark, merged
from tests.proxy.peers import Tunnel, connected_socket, receive_all, serving, socks6_request
from tests.proxy.running import ONE_WORKER, PATIENCE, RunningProxy

pytestmark = [pytest.mark.netns, pytest.mark.slow]
STACK: Options = (Tos(Leg.PROXY_REMOTE, 0x28), Ttl(Leg.PROXY_REMOTE, 7), Multipath(Leg.PROXY_REMOTE, True))


def serve_http(connection: socket.socket) -> None:
    """One request, one response."""
    asked = b""
    while not asked.endswith(b"\r\n\r\n"):
        asked += connection.recv(4096)
    connection.sendall(OK)


@contextmanager
def captured(path: Path, port: int, last: bytes) -> Iterator[None]:
    """tcpdump on loopback, until `last` is in the capture."""
    command = ["tcpdump", "-i", "lo", "--immediate-mode", "-U", "-w", str(path), "tcp", "port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tcpdump:
        try:
            assert tcpdump.stderr is not None
            assert any("listening on" in line for line in iter(tcpdump.stderr.readline, ""))
            yield
            deadline = monotonic() + PATIENCE
            while last not in path.read_bytes() and monotonic() < deadline:
                sleep(0.02)
        finally:
            tcpdump.send_signal(signal.SIGINT)
            tcpdump.communicate(timeout=PATIENCE)


def check(frame: Frame, reply: object, server_port: int) -> None:
    """The frame tells what was asked, what the client was answered, and what was inside."""
    assert isinstance(reply, OperationReply)
    assert frame.one("socks6.request.command") == "1"
    assert frame.one("socks6.request.ipv4") == "127.0.0.1"
    assert frame.one("socks6.request.port") == str(server_port)
    assert frame.one("socks6.authentication_reply.type") == "0"
    assert frame.one("socks6.operation_reply.code") == "0"
    assert frame.one("socks6.operation_reply.port") == str(reply.port)
    assert frame.one("socks6.operation_reply.address") == reply.address.host
    answered = [option for option in reply.options if isinstance(option, StackOption)]
    tos = [str(option.tos) for option in answered if isinstance(option, Tos)]
    assert frame.all("socks6.stack.tos") == [str(0x28), *tos]
    assert frame.all("socks6.stack.ttl")[0] == "7"
    assert frame.all("socks6.stack.multipath")[0] == "2"
    assert len(frame.all("socks6.stack.code")) == len(STACK) + len(answered)
    assert frame.one("http.request.uri") == "/index"
    assert frame.one("http.file_data") == "hello"
    assert not frame.complaints


@pytest.mark.parametrize("false_start", [False, True])
def test_http_through_the_proxy_shows_as_http(tshark: Tshark, tmp_path: Path, false_start: bool) -> None:
    path = tmp_path / "proxy.pcap"
    with RunningProxy(*ONE_WORKER) as proxy, serving(serve_http) as server_port:
        with captured(path, proxy.address[1], b"hello"), connected_socket(proxy.address) as sock:
            client = socks6_request("127.0.0.1", server_port, STACK)
            if false_start:
                sock.sendall(client.open() + GET)
                reply = client.receive_reply(sock.recv(4096))
                while not isinstance(reply, OperationReply):
                    reply = client.receive_reply(sock.recv(4096))
                received = client.leftover()
            else:
                tunnel = Tunnel(sock, client)
                reply, received = tunnel.reply, tunnel.early
                sock.sendall(GET)
            assert received + receive_all(sock) == OK
        proxy_port = proxy.address[1]
    ports = ("-o", f"socks6.tcp_ports:{proxy_port}")
    for passes in ((), ("-2",)):
        check(merged(tshark.frames(path, *ports, *passes)), reply, server_port)
    as_asked = ("-d", f"tcp.port=={proxy_port},socks6")
    check(merged(tshark.frames(path, *as_asked)), reply, server_port)
    check(merged(tshark.frames(path, "-o", "socks6.any_port:TRUE")), reply, server_port)
