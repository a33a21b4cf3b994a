"""Listening sockets: held by the supervisor, or passed by the service manager; and what a SYN may carry."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path

import pytest

from proxy.endpoints import Endpoints, Passed
from proxy.options import Clients, HostPort, Listen, Mode, Options, StartError
from tests.proxy.namespaces import namespaces_in_a_row, socket_in
from tests.proxy.peers import connected_socket, receive_exactly, socks5_request, socks6_request, tunnel
from tests.proxy.running import LOOPBACK, PATIENCE, ROOT, RunningProxy

ACTIVATE = """
import os, socket, sys
kind, *command = sys.argv[1:]
sock = socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
if kind == "tcp":
    sock.listen()
os.dup2(sock.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
port = str(sock.getsockname()[1])
os.execv(command[0], [part.replace("PORT", port) for part in command])
"""
"""Opens a socket and runs a command with it, as the service manager does (sd_listen_fds(3))."""
TCP_INFO_OPTIONS = 5
TCPI_OPT_SYN_DATA = 32
"""linux/tcp.h: where TCP_INFO says that data in the SYN was acknowledged with it."""


def options_of(*listen: Listen, workers: int = 2, mode: Mode = Mode.SERVE) -> Options:
    return Options(mode, listen, Clients((ip_network("::/0"),)), workers=workers)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def ports(endpoints: Endpoints) -> list[int]:
    return [int(address.rpartition(":")[2]) for address in endpoints.addresses]


@pytest.fixture
def nothing_passed() -> Passed:
    return Passed()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_each_worker_has_a_socket_of_its_own_on_the_same_port(nothing_passed: Passed, host: str) -> None:
    endpoints = Endpoints.open(options_of(Listen(HostPort(host, 0))), nothing_passed)
    pairs = [endpoints.of_worker(slot)[0] for slot in range(2)]
    assert len({sock.fileno() for _, sock in pairs}) == 2
    assert {sock.getsockname()[1] for _, sock in pairs} == set(ports(endpoints))
    endpoints.close()


def test_what_stays_is_shared_and_the_rest_is_closed(nothing_passed: Passed) -> None:
    stays, goes, comes = (
        Listen(HostPort("127.0.0.1", 0)),
        Listen(HostPort("::1", 0)),
        Listen(HostPort("127.0.0.2", 0)),
    )
    before = Endpoints.open(options_of(stays, goes), nothing_passed)
    after = Endpoints.open(options_of(comes, stays, workers=1), nothing_passed, before)
    assert ports(after)[1] == ports(before)[0]
    assert after.of_worker(0)[1][1] is before.of_worker(0)[0][1]
    gone = before.of_worker(0)[1][1], before.of_worker(1)[0][1]
    before.close(keeping=after)
    assert [sock.fileno() for sock in gone] == [-1, -1]
    assert all(sock.fileno() >= 0 for _, sock in after.of_worker(0))
    after.close()


def test_an_address_may_stand_twice_when_the_kernel_chooses_ports(nothing_passed: Passed) -> None:
    twice = options_of(Listen(HostPort("127.0.0.1", 0)), Listen(HostPort("127.0.0.1", 0)))
    before = Endpoints.open(twice, nothing_passed)
    after = Endpoints.open(twice, nothing_passed, before)
    assert len(set(ports(before))) == 2
    assert ports(after) == ports(before)
    after.close()


def test_how_a_listener_is_served_may_change_on_the_same_sockets(nothing_passed: Passed) -> None:
    address = HostPort("127.0.0.1", 0)
    before = Endpoints.open(options_of(Listen(address)), nothing_passed)
    changed = Listen(address, versions=(0xCF,), fast_open=True)
    after = Endpoints.open(options_of(changed), nothing_passed, before)
    ((listen, sock),) = after.of_worker(0)
    assert listen is changed
    assert sock is before.of_worker(0)[0][1]
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN) > 0
    again = Endpoints.open(options_of(Listen(address)), nothing_passed, after)
    assert again.of_worker(0)[0][1].getsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN) == 0
    again.close()


def test_what_cannot_be_opened_leaves_the_rest_as_it_was(nothing_passed: Passed) -> None:
    before = Endpoints.open(options_of(Listen(HostPort("127.0.0.1", 0))), nothing_passed)
    wanted = options_of(Listen(HostPort("127.0.0.1", 0)), Listen(HostPort("::1", 0)), Listen(HostPort("192.0.2.1", 0)))
    count = descriptors()
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1:0"):
        Endpoints.open(wanted, nothing_passed, before)
    assert descriptors() == count
    with connected_socket(("127.0.0.1", ports(before)[0])):
        pass
    before.close()


def test_a_worker_keeps_only_what_is_its_own(nothing_passed: Passed) -> None:
    endpoints = Endpoints.open(options_of(Listen(HostPort("127.0.0.1", 0))), nothing_passed)
    mine, other = (endpoints.of_worker(slot)[0][1] for slot in (1, 0))
    endpoints.keep_only(1)
    assert (mine.fileno() >= 0, other.fileno()) == (True, -1)
    endpoints.close()


def test_clients_that_wait_for_a_dead_worker_are_served_by_its_successor(echo_port: int) -> None:
    """The worker is stopped, so that it takes nobody, and killed when clients wait for it."""
    with RunningProxy("serve", "--listen", "127.0.0.1:0", "--workers", "2", *LOOPBACK) as proxy, ExitStack() as held:
        os.kill(proxy.workers[0], signal.SIGSTOP)
        sockets = [held.enter_context(connected_socket(proxy.address)) for _ in range(16)]
        for sock in sockets:
            sock.sendall(socks5_request("127.0.0.1", echo_port).open())
        os.kill(proxy.workers[0], signal.SIGKILL)
        for sock in sockets:
            assert receive_exactly(sock, 2) == b"\x05\x00"
        proxy.wait_for(lambda line: line["event"] == "worker started")


def activated(kind: str, *command: str) -> tuple[str, ...]:
    return (sys.executable, "-c", ACTIVATE, kind, *command)


def test_the_service_manager_may_open_the_socket(echo_port: int) -> None:
    """No other could have this address: the one that is passed does not share it."""
    listen = ("--listen", "127.0.0.1:PORT")
    with RunningProxy("serve", *listen, "--workers", "2", *LOOPBACK, prefix=activated("tcp")) as proxy:
        for _ in range(2):
            for _ in range(8):
                with tunnel(proxy.address, socks5_request("127.0.0.1", echo_port)) as t:
                    t.socket.sendall(b"hello")
                    assert receive_exactly(t.socket, 5) == b"hello"
            proxy.signal(signal.SIGHUP)
            proxy.wait_for(lambda line: line["event"] == "reloaded")


def test_a_socket_that_is_not_tcp_is_told() -> None:
    arguments = ("-m", "proxy", "serve", "--listen", "127.0.0.1:PORT", "--allow", "::1")
    command = activated("udp", sys.executable, *arguments)
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert ended.returncode == 1
    assert "descriptor 3, passed by the service manager, is not a TCP socket" in ended.stderr


def test_a_descriptor_that_there_is_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setattr("proxy.endpoints.FIRST_PASSED", 100_000)
    with pytest.raises(StartError, match="descriptor 100000, passed by the service manager, is not a TCP socket"):
        Passed()


def test_sockets_that_were_passed_to_another_process_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert Passed().find(HostPort("127.0.0.1", 1)) is None
    assert "LISTEN_FDS" not in os.environ


@pytest.mark.netns
@pytest.mark.parametrize(("fast_open", "mptcp"), [(True, True), (True, False), (False, False)])
def test_data_in_a_syn_is_taken_where_that_is_wanted(*, fast_open: bool, mptcp: bool) -> None:
    listen = f'listen=[{{address="127.0.0.1:0",fast_open={str(fast_open).lower()},mptcp={str(mptcp).lower()}}}]'
    with namespaces_in_a_row() as row:
        within = ("ip", "netns", "exec", row.gateway)
        subprocess.run([*within, "sysctl", "-qw", "net.ipv4.tcp_fastopen=3"], check=True)
        with RunningProxy("serve", "--set", listen, "--workers", "1", *LOOPBACK, prefix=within) as proxy:
            for _ in range(2):  # the first SYN asks for a cookie
                with socket_in(row.gateway, socket.AF_INET) as sock:
                    client = socks6_request("127.0.0.1", 1)
                    sock.sendto(client.open(), socket.MSG_FASTOPEN, proxy.address)
                    sock.settimeout(PATIENCE)
                    assert client.receive(sock.recv(4096))
                    told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_OPTIONS + 1)[TCP_INFO_OPTIONS]
            assert bool(told & TCPI_OPT_SYN_DATA) == fast_open
