"""The DNS service of SOCKSv6: CONNECT to port 53 of no address."""

from __future__ import annotations

from pathlib import Path

import pytest

from codec.address import Address
from codec.reply import ReplyCode
from proxy.nameserver import is_dns_service, nameserver
from proxy.options import HostPort
from tests.proxy.peers import receive_exactly, socks5_request, socks6_request, tunnel
from tests.proxy.running import ONE_WORKER, RunningProxy


@pytest.fixture
def proxy(echo_port: int) -> RunningProxy:
    """One whose nameserver is on loopback, where clients may not go by themselves."""
    return RunningProxy(
        "serve", "--listen", "127.0.0.1:0", "--workers", "1", "--allow", "127.0.0.0/8",
        "--set", f'outward.nameserver="127.0.0.1:{echo_port}"',
    )  # fmt: skip


@pytest.mark.parametrize("nowhere", ["0.0.0.0", "::"])
def test_a_client_that_names_no_address_speaks_with_the_proxys_own_nameserver(
    proxy: RunningProxy, nowhere: str
) -> None:
    with proxy, tunnel(proxy.address, socks6_request(nowhere, 53)) as t:
        assert t.code is ReplyCode.SUCCEEDED
        t.socket.sendall(b"\0\2hi")
        assert receive_exactly(t.socket, 4) == b"\0\2hi"


def test_socks5_has_no_such_service_and_nobody_gets_to_loopback_by_it(proxy: RunningProxy, echo_port: int) -> None:
    with proxy:
        with tunnel(proxy.address, socks5_request("0.0.0.0", 53)) as t:
            assert t.code is ReplyCode.NOT_ALLOWED
        with tunnel(proxy.address, socks6_request("127.0.0.1", echo_port)) as t:
            assert t.code is ReplyCode.NOT_ALLOWED


@pytest.mark.parametrize(("ports", "code"), [("443", ReplyCode.CONNECTION_REFUSED), ("53", ReplyCode.SUCCEEDED)])
def test_rules_decide_by_its_port(echo_port: int, ports: str, code: ReplyCode) -> None:
    nameserver_ = f'outward.nameserver="127.0.0.1:{echo_port}"'
    rule = f'rule=[{{verdict="allow",ports=[{ports}]}}]'
    with (
        RunningProxy(*ONE_WORKER, "--set", nameserver_, "--set", rule) as proxy,
        tunnel(proxy.address, socks6_request("0.0.0.0", 53)) as t,
    ):
        assert t.code is code


def test_only_port_53_of_no_address_means_it() -> None:
    assert is_dns_service(Address.of("0.0.0.0"), 53)
    assert not is_dns_service(Address.of("0.0.0.0"), 80)
    assert not is_dns_service(Address.of("192.0.2.53"), 53)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# nameserver 192.0.2.9\nsearch example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n", "192.0.2.1"),
        ("nameserver fd00::53\n", "fd00::53"),
        ("nameserver\nnameserver name.example\nnameserver 192.0.2.3 # ours\n", "192.0.2.3"),
        ("options rotate\n", None),
    ],
)
def test_it_is_the_first_of_resolv_conf(tmp_path: Path, text: str, found: str | None) -> None:
    (tmp_path / "resolv.conf").write_text(text)
    assert nameserver(None, tmp_path / "resolv.conf") == (HostPort(found, 53) if found else None)


def test_without_a_nameserver_there_is_no_service(tmp_path: Path) -> None:
    assert nameserver(None, tmp_path / "none") is None
    assert nameserver(HostPort("192.0.2.53", 5353), tmp_path / "none") == HostPort("192.0.2.53", 5353)
