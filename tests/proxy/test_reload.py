"""SIGHUP: another configuration takes over, and no connection notices."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from codec import socks5
from codec.address import Address
from codec.client import Socks5Client
from codec.command import Command
from codec.reply import ReplyCode
from codec.rfc1929 import UserPassword
from proxy.users import Hash
from tests.proxy.footprint import descriptors
from tests.proxy.peers import (
    Tunnel,
    both_ends,
    carry_unevenly,
    connected_socket,
    exchange_unevenly,
    listening_socket,
    receive_unevenly,
    send_unevenly,
    socks5_request,
    socks6_request,
    tunnel,
)
from tests.proxy.running import PATIENCE, RunningProxy
from tests.proxy.users_file import users_file
from tests.proxy.waiting import eventually

pytestmark = pytest.mark.slow

OCTETS = 1 << 17
CONFIG = """
workers = 2
[clients]
networks = ["127.0.0.0/8", "::1"]
[outward]
allow_loopback = true
"""


class Reloading:
    """A proxy, and the file that it reads."""

    def __init__(self, file: Path, proxy: RunningProxy) -> None:
        self.file = file
        self.proxy = proxy

    def reload(self, text: str) -> dict[str, Any]:
        """Give it another configuration; what it says of it."""
        self.file.write_text(text)
        return self.reload_again()

    def reload_again(self) -> dict[str, Any]:
        told = self._told()
        self.proxy.signal(signal.SIGHUP)
        self.proxy.wait_for(lambda _: self._told() > told)
        return [line for line in self.proxy.lines if line["event"].startswith("reload")][-1]

    def _told(self) -> int:
        return sum(line["event"].startswith("reload") for line in self.proxy.lines)


def listen(*addresses: str) -> str:
    return CONFIG + "".join(f'[[listen]]\naddress = "{address}"\n' for address in addresses)


@contextmanager
def reloading(folder: Path, text: str) -> Iterator[Reloading]:
    file = folder / "mpsocks.toml"
    file.write_text(text)
    with RunningProxy("serve", "--config", str(file)) as proxy:
        yield Reloading(file, proxy)


def address_of(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def echo_unevenly(t: Tunnel) -> None:
    """What goes to the echo server comes back whole."""
    carry_unevenly(t.socket, t.socket, OCTETS, seed=1)


def test_addresses_come_and_go_while_connections_stay(tmp_path: Path, echo_port: int) -> None:
    with reloading(tmp_path, listen("127.0.0.1:0", "[::1]:0")) as it, ExitStack() as held:
        first, second = map(address_of, it.proxy.addresses)
        pairs = [
            held.enter_context(both_ends(address, request))
            for address in (first, second) * 2
            for request in (socks5_request, socks6_request)
        ]
        sent = [send_unevenly(client, OCTETS, seed) for seed, (client, _) in enumerate(pairs)]
        told = it.reload(listen("127.0.0.1:0", "127.0.0.2:0"))
        assert told["event"] == "reloaded"
        kept, added = map(address_of, told["addresses"])
        assert kept == first
        assert not set(told["workers"]) & set(it.proxy.workers)
        with pytest.raises(ConnectionRefusedError):
            connected_socket(second)
        for digest, (client, remote) in zip(sent, pairs, strict=True):
            assert receive_unevenly(remote, seed=20, octets=OCTETS) == digest
            exchange_unevenly(client, remote, OCTETS, seed=21)
        for address in (kept, added) * 4:
            with tunnel(address, socks5_request("127.0.0.1", echo_port)) as t:
                echo_unevenly(t)


def test_the_file_says_what_holds_for_new_connections(tmp_path: Path, echo_port: int) -> None:
    with reloading(tmp_path, listen("127.0.0.1:0")) as it:
        it.reload(listen("127.0.0.1:0") + '[[rule]]\nverdict = "deny"\n')
        with tunnel(it.proxy.address, socks5_request("127.0.0.1", echo_port)) as t:
            assert t.code is ReplyCode.NOT_ALLOWED
        it.reload(listen("127.0.0.1:0"))
        with tunnel(it.proxy.address, socks5_request("127.0.0.1", echo_port)) as t:
            assert t.code is ReplyCode.SUCCEEDED


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("[timeouts]\nidle = 0\n", "timeouts.idle: more than 0 seconds"),
        ("[nothing]\n", "nothing: there is no such key"),
        ("[", "is not TOML"),
        ('[[listen]]\naddress = "192.0.2.1:0"\n', "cannot listen on 192.0.2.1:0"),
        ('[[listen]]\naddress = "TAKEN"\n', "Address already in use"),
        ('[operations]\nmetrics = "TAKEN"\n', "operations.metrics: cannot listen on"),
        ('[tls]\ncertificate = "/nonexistent"\nkey = "/nonexistent"\n', "tls.certificate: cannot read"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_changes(tmp_path: Path, echo_port: int, more: str, why: str) -> None:
    with (
        listening_socket() as taken,
        reloading(tmp_path, listen("127.0.0.1:0")) as it,
        tunnel(it.proxy.address, socks5_request("127.0.0.1", echo_port)) as kept,
    ):
        before = descriptors(it.proxy.pid)
        told = it.reload(listen("127.0.0.1:0") + more.replace("TAKEN", f"127.0.0.1:{taken.getsockname()[1]}"))
        assert told["event"] == "reload refused"
        assert why in told["why"]
        assert children(it.proxy.pid) == set(it.proxy.workers)
        assert descriptors(it.proxy.pid) == before
        echo_unevenly(kept)
        with tunnel(it.proxy.address, socks5_request("127.0.0.1", echo_port)) as t:
            echo_unevenly(t)


def test_users_may_change(tmp_path: Path, echo_port: int) -> None:
    users = tmp_path / "users"

    def write(name: str) -> None:
        users_file(tmp_path, {name: Hash.of(b"secret")})

    def served(name: bytes) -> bool:
        request = socks5.Request(Command.CONNECT, Address.of("127.0.0.1"), echo_port)
        client = Socks5Client(request, UserPassword(name, b"secret"))
        with connected_socket(it.proxy.address) as sock:
            return Tunnel(sock, client).code is ReplyCode.SUCCEEDED

    write("alice")
    text = listen("127.0.0.1:0").replace("[clients]", f'[clients]\nusers = "{users}"')
    with reloading(tmp_path, text) as it:
        assert served(b"alice")
        write("bob")
        it.reload_again()
        assert served(b"bob")


def test_reloading_again_and_again_leaks_nothing(tmp_path: Path, echo_port: int) -> None:
    text = listen("127.0.0.1:0") + f'[operations]\nmetrics = "127.0.0.1:0"\ncontrol = "{tmp_path}/control"\n'
    with reloading(tmp_path, text) as it:
        it.reload_again()

        def state() -> tuple[int, int, list[int], int]:
            pids = children(it.proxy.pid)
            inside = list((tmp_path / "control").iterdir())
            return descriptors(it.proxy.pid), len(pids), sorted(map(descriptors, pids)), len(inside)

        assert eventually(lambda: state()[1] == 3)
        before = state()
        for _ in range(5):
            with tunnel(it.proxy.address, socks5_request("127.0.0.1", echo_port)) as t:
                it.reload_again()
                echo_unevenly(t)
        assert eventually(lambda: state() == before)


def test_the_number_of_workers_may_change(tmp_path: Path, echo_port: int) -> None:
    with reloading(tmp_path, listen("127.0.0.1:0")) as it:
        for workers in (3, 1):
            told = it.reload(listen("127.0.0.1:0").replace("workers = 2", f"workers = {workers}"))
            assert len(told["workers"]) == workers
            assert eventually(lambda told=told: children(it.proxy.pid) == set(told["workers"]))  # type: ignore[misc]
            for _ in range(8):
                with tunnel(it.proxy.address, socks5_request("127.0.0.1", echo_port)) as t:
                    echo_unevenly(t)


def test_a_retired_worker_that_is_killed_is_not_replaced(tmp_path: Path, echo_port: int) -> None:
    with (
        reloading(tmp_path, listen("127.0.0.1:0").replace("workers = 2", "workers = 1")) as it,
        tunnel(it.proxy.address, socks5_request("127.0.0.1", echo_port)) as t,
    ):
        retired = it.proxy.workers[0]
        it.reload_again()
        os.kill(retired, signal.SIGKILL)
        it.proxy.wait_for(lambda line: line["event"] == "worker ended" and line["pid"] == retired)
        assert t.socket.recv(1) == b""
        it.reload_again()
        assert not any(line["event"] == "worker started" for line in it.proxy.lines)


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mpsocks.toml"
    file.write_text(listen("127.0.0.1:0"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(PATIENCE)
        manager.bind(str(tmp_path / "notify"))
        with RunningProxy("serve", "--config", str(file), env={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as proxy:
            assert manager.recv(100) == b"READY=1"
            for text in (listen("127.0.0.1:0"), "nonsense"):
                file.write_text(text)
                proxy.signal(signal.SIGHUP)
                reloading_, _, moment = manager.recv(100).partition(b"\n")
                assert reloading_ == b"RELOADING=1"
                assert moment.startswith(b"MONOTONIC_USEC=")
                assert manager.recv(100) == b"READY=1"


def children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
