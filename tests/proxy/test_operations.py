"""Running it: start, stop, limits, and what dies."""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.proxy.footprint import descriptors
from tests.proxy.forking import run_proxy
from tests.proxy.peers import (
    both_ends,
    connected_socket,
    exchange_unevenly,
    receive_exactly,
    receive_unevenly,
    send_unevenly,
    serving,
    socks5_request,
    socks6_request,
    tunnel,
)
from tests.proxy.running import LOOPBACK, NO_SUCH_NAME, ONE_WORKER, PATIENCE, RunningProxy
from tests.proxy.waiting import eventually

OCTETS = 1 << 17


def test_a_worker_that_is_killed_is_replaced_while_the_others_go_on() -> None:
    """Octets are under way when it dies: those of other workers' clients all arrive."""
    with RunningProxy("serve", "--listen", "127.0.0.1:0", "--workers", "2", *LOOPBACK) as proxy, ExitStack() as held:
        requests = (socks5_request, socks6_request) * 6
        pairs = [held.enter_context(both_ends(proxy.address, request)) for request in requests]
        sent = [send_unevenly(client, OCTETS, seed) for seed, (client, _) in enumerate(pairs)]
        os.kill(proxy.workers[0], signal.SIGKILL)
        proxy.wait_for(lambda line: line["event"] == "worker ended" and line["status"] == -signal.SIGKILL)
        survivors = 0
        for digest, (client, remote) in zip(sent, pairs, strict=True):
            if has_ended(client):
                continue
            survivors += 1
            assert receive_unevenly(remote, seed=20, octets=OCTETS) == digest
            exchange_unevenly(client, remote, OCTETS, seed=21)
        assert 0 < survivors < len(pairs)
        proxy.wait_for(lambda line: line["event"] == "worker started")
        for request in requests:
            with both_ends(proxy.address, request) as (another, its_remote):
                exchange_unevenly(another, its_remote, OCTETS, seed=22)


def has_ended(sock: socket.socket) -> bool:
    """Whether the other side has ended it already; it has sent nothing."""
    sock.setblocking(False)
    try:
        return not sock.recv(1)
    except BlockingIOError:
        sock.settimeout(PATIENCE)
        return False
    except ConnectionResetError:
        return True


def test_workers_yield_to_whoever_runs_already(proxy: RunningProxy) -> None:
    assert eventually(lambda: {os.sched_getscheduler(worker) for worker in proxy.workers} == {os.SCHED_BATCH})


def test_sigterm_lets_connections_end_and_takes_no_more() -> None:
    with RunningProxy(*ONE_WORKER) as proxy, both_ends(proxy.address, socks6_request) as (client, remote):
        exchange_unevenly(client, remote, OCTETS, seed=1)
        proxy.signal(signal.SIGTERM)
        exchange_unevenly(client, remote, OCTETS, seed=2)
        client.close()
        assert remote.recv(1) == b""
        remote.close()
        assert proxy.wait() == 0
        proxy.connection(end="closed", up=2 * OCTETS, down=2 * OCTETS)
        with pytest.raises(ConnectionRefusedError):
            connected_socket(proxy.address)


def test_draining_has_a_deadline(echo_port: int) -> None:
    with (
        RunningProxy(*ONE_WORKER, "--set", "timeouts.drain=0.2") as proxy,
        tunnel(proxy.address, socks5_request("127.0.0.1", echo_port)) as t,
    ):
        proxy.signal(signal.SIGTERM)
        with pytest.raises(ConnectionResetError):
            t.socket.recv(1)
        assert proxy.wait() == 0
        proxy.connection(end="proxy stopped")


def test_a_second_signal_does_not_wait(echo_port: int) -> None:
    with (
        RunningProxy(*ONE_WORKER, "--set", "timeouts.drain=60") as proxy,
        tunnel(proxy.address, socks5_request("127.0.0.1", echo_port)),
    ):
        proxy.signal(signal.SIGTERM)
        proxy.signal(signal.SIGINT)
        assert proxy.wait() == 0


def test_workers_do_not_outlive_a_supervisor_that_is_killed() -> None:
    with RunningProxy(*ONE_WORKER) as proxy:
        worker = os.pidfd_open(proxy.workers[0])
        proxy.signal(signal.SIGKILL)
        assert wait_for_end(worker)


def wait_for_end(pidfd: int) -> bool:
    """Whether the process ends in time."""
    try:
        return bool(select.select([pidfd], [], [], PATIENCE)[0])
    finally:
        os.close(pidfd)


@pytest.mark.parametrize("option", ["idle", "half_closed"])
def test_connections_without_traffic_end(echo_port: int, option: str) -> None:
    def keep_open(connection: socket.socket) -> None:
        reset_awaited = select.poll()
        reset_awaited.register(connection, 0)
        reset_awaited.poll(PATIENCE * 1000)

    with (
        serving(keep_open) as port,
        RunningProxy(*ONE_WORKER, "--set", f"timeouts.{option}=0.3") as proxy,
        tunnel(proxy.address, socks5_request("127.0.0.1", port)) as t,
    ):
        if option == "half_closed":
            t.socket.sendall(b"x")
            t.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            t.socket.recv(1)
        proxy.connection(end="idle")


def test_many_connections_in_a_row_leave_nothing_behind(echo_port: int) -> None:
    with RunningProxy(*ONE_WORKER) as proxy:
        with tunnel(proxy.address, socks5_request("127.0.0.1", echo_port)):
            pass
        proxy.connection(end="closed")
        before = descriptors(proxy.workers[0])
        for _ in range(300):
            with tunnel(proxy.address, socks5_request("127.0.0.1", echo_port)) as t:
                last = t.socket.getsockname()
        proxy.connection(client=f"127.0.0.1:{last[1]}")
        assert descriptors(proxy.workers[0]) <= before


def test_the_log_never_holds_payload_and_escapes_what_a_client_sent(echo_port: int) -> None:
    with RunningProxy(*ONE_WORKER) as proxy:
        with tunnel(proxy.address, socks5_request(f'"\n{{}}{NO_SUCH_NAME}', 80)):
            pass
        assert proxy.connection(protocol="socks5")["destination"] == f'"\n{{}}{NO_SUCH_NAME}:80'
        with tunnel(proxy.address, socks5_request("127.0.0.1", echo_port)) as t:
            t.socket.sendall(b"a secret")
            assert receive_exactly(t.socket, 8) == b"a secret"
        line = proxy.connection(up=8)
        assert "secret" not in str(line)
        assert set(line) == {
            "time", "event", "client", "protocol", "command", "destination", "mptcp", "up", "down", "seconds", "end",
        }  # fmt: skip


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(PATIENCE)
        manager.bind(str(tmp_path / "notify"))
        with RunningProxy(*ONE_WORKER, env={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as proxy:
            assert manager.recv(100) == b"READY=1"
            proxy.signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize(
    ("arguments", "complaint", "code"),
    [
        (("serve", "--listen", "127.0.0.1:0"), "only who is named is served", 1),
        (("serve", "--listen", "127.0.0.1:70000", "--allow", "::1"), "not HOST:PORT", 1),
        (("serve", "--listen", "::1:80", "--allow", "::1"), "brackets", 1),
        (("serve", "--listen", "localhost:80", "--allow", "::1"), "'localhost'", 1),
        (("serve", "--listen", "127.0.0.1:0", "--allow", "10.0.0.1/8"), "host bits", 1),
        (("serve", "--listen", "127.0.0.1:0", "--allow", "::1", "--workers", "0"), "at least one", 1),
        (("serve", "--listen", "127.0.0.1:0", "--allow", "::1", "--set", "timeouts.idle=0"), "more than 0", 1),
        (("serve", "--listen", "192.0.2.1:0", "--allow", "::1"), "cannot listen on 192.0.2.1:0", 1),
    ],
)
def test_what_cannot_work_is_refused_with_a_clear_message(
    arguments: tuple[str, ...], complaint: str, code: int
) -> None:
    ended = run_proxy(*arguments, timeout=PATIENCE)
    assert ended.returncode == code
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_restarted_proxy_has_its_address_back_at_once(echo_port: int) -> None:
    with RunningProxy(*ONE_WORKER) as proxy:
        address = proxy.addresses[0]
        with tunnel(proxy.address, socks5_request("127.0.0.1", echo_port)):
            pass
    with (
        RunningProxy("serve", "--listen", address, "--workers", "1", *LOOPBACK) as proxy,
        both_ends(proxy.address, socks5_request) as (client, remote),
    ):
        exchange_unevenly(client, remote, OCTETS, seed=3)
