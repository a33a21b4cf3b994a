"""A host with two uplinks that meet in a router, and a server behind it: three network namespaces."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import AF_INET, AF_INET6

from invoke.context import Context

from lab.runner import Runner
from tests.proxy.namespaces import T, run_in

SOURCES = {AF_INET: ("10.78.1.2", "10.78.2.2"), AF_INET6: ("fd78:1::2", "fd78:2::2")}
"""The host's addresses: the routes give the first."""
SERVER = {AF_INET: "10.78.9.2", AF_INET6: "fd78:9::2"}
NOWHERE = {AF_INET: "203.0.113.1", AF_INET6: "2001:db8::1"}
"""The router has no route to these, and says so."""

# The kernel hurries to say that a link is up only if the numbers of its ends differ; for IPv6 one would wait a second.
_HOST = """
link set lo up
link add u0 index 10 type veth peer name r0 index 11 netns {router}
link add u1 index 20 type veth peer name r1 index 21 netns {router}
addr add 10.78.1.2/24 dev u0
addr add 10.78.2.2/24 dev u1
addr add fd78:1::2/64 dev u0 nodad
addr add fd78:2::2/64 dev u1 nodad
link set u0 up
link set u1 up
route add default via 10.78.1.1
route add default via fd78:1::1
route add default via 10.78.1.1 table 101
route add default via 10.78.2.1 table 102
route add default via fd78:1::1 dev u0 table 101
route add default via fd78:2::1 dev u1 table 102
rule add from 10.78.1.2 lookup 101 pref 101
rule add from 10.78.2.2 lookup 102 pref 102
"""
_HOST_IPV6 = """
rule add from fd78:1::2 lookup 101 pref 101
rule add from fd78:2::2 lookup 102 pref 102
"""
_ROUTER = """
link set lo up
addr add 10.78.1.1/24 dev r0
addr add 10.78.2.1/24 dev r1
addr add fd78:1::1/64 dev r0 nodad
addr add fd78:2::1/64 dev r1 nodad
link set r0 up
link set r1 up
link add r2 index 30 type veth peer name s0 index 31 netns {server}
addr add 10.78.9.1/24 dev r2
addr add fd78:9::1/64 dev r2 nodad
link set r2 up
"""
_SERVER = """
link set lo up
addr add 10.78.9.2/24 dev s0
addr add fd78:9::2/64 dev s0 nodad
link set s0 up
route add default via 10.78.9.1
route add default via fd78:9::1
"""
FORWARD = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
AT_ONCE = ("net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
"""IPv6 works without the second that it takes to detect duplicate addresses."""


@dataclass(frozen=True, slots=True)
class Uplinks:
    """The names of the namespaces, and what tests do to them."""

    host: str
    router: str
    server: str

    def in_host(self, function: Callable[[], T]) -> T:
        return run_in(self.host, function)

    def first_falls_silent(self) -> None:
        """What the host sends on its first uplink is lost, and it cannot know."""
        self._ip(self.router, "link set r0 down")

    def first_is_unplugged(self) -> None:
        """The host's routes over its first uplink are gone."""
        self._ip(self.host, "link set u0 down")

    def set(self, namespace: str, *settings: str) -> None:
        """Set sysctls."""
        Runner(Context()).change("ip", "netns", "exec", namespace, "sysctl", "-qw", *settings)

    def make(self) -> None:
        for namespace in (self.host, self.router, self.server):
            self.set(namespace, *AT_ONCE)
        self._ip(self.host, _HOST.format(router=self.router))
        self._ip(self.host, _HOST_IPV6, "-6")
        self._ip(self.router, _ROUTER.format(server=self.server))
        self._ip(self.server, _SERVER)
        self.set(self.router, *FORWARD)

    @staticmethod
    def _ip(namespace: str, lines: str, *flags: str) -> None:
        Runner(Context()).change("ip", *flags, "-n", namespace, "-batch", "-", stdin=lines)


@contextmanager
def two_uplinks() -> Iterator[Uplinks]:
    """Make them, and remove them at the end."""
    runner = Runner(Context())
    made = Uplinks(*(f"mpu{os.getpid()}-{role}" for role in ("h", "r", "s")))
    names = (made.host, made.router, made.server)
    present: list[str] = []
    try:
        for name in names:
            runner.change("ip", "netns", "add", name)
            present.append(name)
        made.make()
        yield made
    finally:
        for name in present:
            runner.change("ip", "netns", "del", name)
