"""Three network namespaces in a row: client, gateway, server. Sockets of this process can be made in any of them."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from invoke.context import Context

from lab.runner import Runner
from tests.proxy.running import PATIENCE, RunningProxy

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
CLIENT_NET = "10.77.1.0/24", "fd77:1::/64"
ALLOW = ("--allow", CLIENT_NET[0], "--allow", CLIENT_NET[1])
LISTEN = ("--listen", "0.0.0.0:6667", "--listen", "[::]:6667")
"""Where redirected connections come to."""
SERVER = {socket.AF_INET: "10.77.2.2", socket.AF_INET6: "fd77:2::2"}
GATEWAY = {socket.AF_INET: "10.77.1.1", socket.AF_INET6: "fd77:1::1"}
REDIRECT = """
table inet socksify {
    chain prerouting {
        type nat hook prerouting priority dstnat; policy accept;
        iifname "c1" ip daddr 10.77.1.0/24 accept
        iifname "c1" ip6 daddr fd77:1::/64 accept
        iifname "c1" meta l4proto tcp redirect to :6667
    }
}
"""


@dataclass(frozen=True, slots=True)
class Row:
    """The names of the three namespaces."""

    client: str
    gateway: str
    server: str


@contextmanager
def namespaces_in_a_row() -> Iterator[Row]:
    """Make them, connect them, redirect in the gateway what the client sends beyond it; remove them at the end."""
    runner = Runner(Context())
    row = Row(*(f"mps{os.getpid()}-{role}" for role in ("c", "g", "s")))
    names = (row.client, row.gateway, row.server)
    try:
        for name in names:
            runner.change("ip", "netns", "add", name)
            runner.change("ip", "-n", name, "link", "set", "lo", "up")
        _connect(runner, (row.client, "c0", 2), (row.gateway, "c1", 1), network=1)
        _connect(runner, (row.server, "s0", 2), (row.gateway, "s1", 1), network=2)
        for family, via in (("-4", GATEWAY[socket.AF_INET]), ("-6", GATEWAY[socket.AF_INET6])):
            runner.change("ip", family, "-n", row.client, "route", "add", "default", "via", via)
        for kind, target in (("unreachable", "198.51.100.1/32"), ("prohibit", "198.51.100.2/32")):
            runner.change("ip", "-n", row.gateway, "route", "add", kind, target)
        runner.change("ip", "netns", "exec", row.gateway, "nft", "-f", "-", stdin=REDIRECT)
        yield row
    finally:
        for name in names:
            runner.change("ip", "netns", "del", name)


def _connect(runner: Runner, one: tuple[str, str, int], other: tuple[str, str, int], *, network: int) -> None:
    """A veth pair between two (namespace, interface, host number), with addresses of both families."""
    change = runner.change
    change("ip", "-n", one[0], "link", "add", one[1], "type", "veth", "peer", "name", other[1], "netns", other[0])
    for namespace, interface, host in (one, other):
        change("ip", "-n", namespace, "addr", "add", f"10.77.{network}.{host}/24", "dev", interface)
        change("ip", "-n", namespace, "addr", "add", f"fd77:{network}::{host}/64", "dev", interface, "nodad")
        change("ip", "-n", namespace, "link", "set", interface, "up")


def run_in(namespace: str, function: Callable[[], T]) -> T:
    """Call a function in another namespace: in a thread that goes there and ends. What it makes stays there."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call() -> T:
        fd = os.open(Path("/run/netns") / namespace, os.O_RDONLY)
        try:
            if libc.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns to {namespace}")
            return function()
        finally:
            os.close(fd)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def with_file(file: Path, target: str) -> tuple[str, ...]:
    """What goes before a command behind `ip netns exec`, which makes a mount namespace: it finds `file` at `target`."""
    return ("sh", "-c", f'mount --bind "$0" {target} && exec "$@"', str(file))


def socket_in(namespace: str, family: int, protocol: int = 0) -> socket.socket:
    """A TCP socket that belongs to another namespace."""
    return run_in(namespace, lambda: socket.socket(family, socket.SOCK_STREAM, protocol))


@contextmanager
def proxy_in(namespace: str, *arguments: str) -> Iterator[RunningProxy]:
    """As a service is run: without any capability."""
    without = ("setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all")
    with RunningProxy(*arguments, "--workers", "1", prefix=("ip", "netns", "exec", namespace, *without)) as proxy:
        yield proxy


@contextmanager
def client_of(row: Row, address: tuple[str, int]) -> Iterator[socket.socket]:
    """Connected from the client's namespace. A reset that follows at once may be raised here already."""
    with socket_in(row.client, socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(address)
        yield sock
