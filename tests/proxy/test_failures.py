"""Guessing passwords is slowed down, by address."""

from __future__ import annotations

from pathlib import Path

import pytest

from codec import socks5
from codec.address import Address
from codec.client import Socks5Client
from codec.command import Command
from codec.rfc1929 import UserPassword
from proxy.failures import REMEMBERED, WINDOW_SECONDS, Failures
from proxy.users import Hash
from tests.proxy.peers import connected_socket, receive_exactly
from tests.proxy.running import LOOPBACK, RunningProxy
from tests.proxy.users_file import users_file
from tests.proxy.waiting import eventually

HOST = "192.0.2.1"


def failing(*hosts: str, times: int = 3, now: float = 0.0) -> Failures:
    """Three a minute are heard; these have failed so many times."""
    failures = Failures(3)
    for host in hosts:
        for _ in range(times):
            failures.add(host, now)
    return failures


def test_nobody_is_refused_who_has_not_failed() -> None:
    assert not Failures(3).refused(HOST, 0.0)
    assert not failing("192.0.2.2").refused(HOST, 0.0)


def test_as_many_as_are_allowed_are_heard() -> None:
    assert not failing(HOST, times=2).refused(HOST, 1.0)
    assert failing(HOST, times=3).refused(HOST, 1.0)


def test_the_minute_begins_with_the_first_failure_and_then_all_is_forgiven() -> None:
    failures = failing(HOST, times=1, now=100.0)
    failures.add(HOST, 150.0)
    failures.add(HOST, 159.0)
    assert failures.refused(HOST, 100.0 + WINDOW_SECONDS - 0.1)
    assert not failures.refused(HOST, 100.0 + WINDOW_SECONDS)
    failures.add(HOST, 161.0)
    failures.add(HOST, 162.0)
    assert not failures.refused(HOST, 163.0)
    failures.add(HOST, 163.0)
    assert failures.refused(HOST, 163.0)


@pytest.mark.parametrize(
    ("failed", "host", "refused"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
def test_an_ipv6_network_of_64_bits_counts_as_one(failed: str, host: str, refused: bool) -> None:
    assert failing(failed).refused(host, 0.0) is refused


def test_no_more_than_so_many_are_remembered_and_the_first_to_be_forgiven_goes_first() -> None:
    failures = failing(HOST, "192.0.2.2", now=0.0)
    for _ in range(3):
        failures.add(HOST, WINDOW_SECONDS)  # A new minute: 192.0.2.2 is now before it.
    for number in range(REMEMBERED - 2):
        failures.add(f"10.{number >> 8}.{number & 255}.1", WINDOW_SECONDS)
    assert failures.refused("192.0.2.2", WINDOW_SECONDS - 1.0)
    failures.add("198.51.100.1", WINDOW_SECONDS)
    assert not failures.refused("192.0.2.2", WINDOW_SECONDS - 1.0)
    assert failures.refused(HOST, WINDOW_SECONDS)
    failures.add("198.51.100.2", WINDOW_SECONDS)
    assert not failures.refused(HOST, WINDOW_SECONDS)


def is_let_in(proxy: RunningProxy, password: bytes) -> bool:
    """Whether alice is, with this password; she asks for nothing then."""
    client = Socks5Client(socks5.Request(Command.CONNECT, Address.of(HOST), 80), UserPassword(b"alice", password))
    with connected_socket(proxy.address) as sock:
        sock.sendall(client.open())
        client.receive(receive_exactly(sock, 2))
        sock.sendall(client.outgoing())
        return receive_exactly(sock, 2)[1] == 0


@pytest.mark.slow
def test_every_worker_refuses_who_has_failed_at_any(tmp_path: Path) -> None:
    users = users_file(tmp_path, {"alice": Hash.of(b"correct horse")})
    with RunningProxy(
        *("serve", "--listen", "127.0.0.1:0", "--workers", "2", *LOOPBACK),
        *("--set", f'clients={{networks=["127.0.0.0/8"],users="{users}",failures_per_minute=3}}'),
    ) as proxy:
        assert all(is_let_in(proxy, b"correct horse") for _ in range(8))
        assert not any(is_let_in(proxy, b"battery staple") for _ in range(3))
        assert eventually(lambda: not any(is_let_in(proxy, b"correct horse") for _ in range(12)))
