"""The plan of the emulated internet: settings in, namespaces with their links, addresses and routes out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv4Network
from itertools import pairwise

from lab.testbed.model import (
    Address,
    Delay,
    Device,
    Intercept,
    Link,
    Namespace,
    Rate,
    Role,
    Route,
    Service,
    Topology,
)
from lab.testbed.routing import static_routes
from lab.testbed.settings import BOX_ROUTER, IspSettings, TestbedSettings

FIXED_UPLINK, MOBILE_UPLINK = "wlp1s0", "wlan1"
SERVER_DEVICE = "eth0"
ROUTER_HOST, SERVER_HOST, SUBSCRIBER_HOST = 1, 10, 100

# Private, shared (RFC 6598), benchmarking (RFC 2544) and documentation (RFC 5737) addresses: none is anyone's.
HOME_LAN = IPv4Network("192.168.1.0/24")
MOBILE_SUBSCRIBERS = IPv4Network("100.64.1.0/24")
MOBILE_INSIDE = IPv4Network("100.65.0.0/24")
MOBILE_OUTSIDE = IPv4Network("198.18.2.0/24")
FIXED_OUTSIDE = IPv4Network("198.18.1.0/24")
CORE = IPv4Network("198.18.0.0/24")


@dataclass(frozen=True, slots=True)
class _Isp:
    """An ISP: the routers from its subscriber on, and the networks on either side of the one that translates."""

    uplink: str
    metric: int
    settings: IspSettings
    routers: tuple[str, ...]
    translator: int
    """Index of the router that translates addresses."""
    subscribers: IPv4Network
    inside: IPv4Network
    outside: IPv4Network


@dataclass(frozen=True, slots=True)
class _Server:
    """A server, the core router it hangs from, and its name in the DNS."""

    namespace: str
    service: Service
    router: str
    network: IPv4Network
    domain: str


def topology(settings: TestbedSettings) -> Topology:
    """The emulated internet that these settings describe."""
    plan = _Plan(settings)
    namespaces, links = tuple(plan.namespaces()), tuple(plan.links())
    routes = static_routes(namespaces, links, root=plan.core[0])
    routes[plan.lab] = tuple(
        Route(None, _host(isp.subscribers, ROUTER_HOST).ip, isp.uplink, isp.metric) for isp in plan.isps
    )
    names = {server.domain: _host(server.network, SERVER_HOST).ip for server in plan.servers}
    return Topology(
        namespaces=tuple(replace(namespace, routes=routes[namespace.name]) for namespace in namespaces),
        links=links,
        lab=plan.lab,
        box=plan.mobile.routers[BOX_ROUTER - 1],
        dns=names["dns.test"],
        names=(*names.items(), *plan.router_names(links)),
    )


class _Plan:
    """Who is there, and who is connected to whom."""

    def __init__(self, settings: TestbedSettings) -> None:
        self.prefix = settings.prefix
        self.interception = settings.interception
        self.box = settings.box
        self.lab = f"{self.prefix}-lab"
        self.core = self._routers("core", settings.core_routers + settings.far_routers)
        self.fixed = _Isp(
            FIXED_UPLINK, 600, settings.fixed, self._routers("fixed", settings.fixed.routers),
            0, HOME_LAN, HOME_LAN, FIXED_OUTSIDE,
        )  # fmt: skip
        # The mobile ISP translates right behind its box, so that what the box itself sends is translated too.
        self.mobile = _Isp(
            MOBILE_UPLINK, 700, settings.mobile, self._routers("mobile", settings.mobile.routers),
            BOX_ROUTER, MOBILE_SUBSCRIBERS, MOBILE_INSIDE, MOBILE_OUTSIDE,
        )  # fmt: skip
        self.isps = (self.fixed, self.mobile)
        near, far = self.core[settings.core_routers - 1], self.core[-1]
        self.servers = (
            self._server("web", Service.MPTCP_WEB, near, "203.0.113.0/25", "mptcp.test"),
            self._server("plain", Service.PLAIN_WEB, near, "203.0.113.128/25", "plain.test"),
            self._server("far", Service.MPTCP_WEB, far, "198.51.100.0/24", "far.mptcp.test"),
            self._server("dns", Service.DNS, self.core[0], "192.0.2.0/24", "dns.test"),
        )
        self._egress = self._shapes()

    def namespaces(self) -> Iterator[Namespace]:
        yield Namespace(self.lab, Role.LAB)
        for isp in self.isps:
            beyond = (*isp.routers, self.core[0])[isp.translator + 1]
            for index, name in enumerate(isp.routers):
                outside = self._toward(beyond) if index == isp.translator else None
                router = Namespace(name, Role.ROUTER, nat_outside=outside)
                yield self._interfering(router, index) if self.interception and isp is self.mobile else router
        yield from (Namespace(name, Role.ROUTER) for name in self.core)
        yield from (Namespace(server.namespace, Role.SERVER, service=server.service) for server in self.servers)

    def links(self) -> Iterator[Link]:
        for isp in self.isps:
            yield Link(
                Device(self.lab, isp.uplink, (_host(isp.subscribers, SUBSCRIBER_HOST),)),
                self._router_device(isp.routers[0], self.lab, _host(isp.subscribers, ROUTER_HOST)),
            )
            yield from self._chain(isp.routers[: isp.translator + 1], isp.inside)
            yield from self._chain((*isp.routers[isp.translator :], self.core[0]), isp.outside)
        yield from self._chain(self.core, CORE)
        for server in self.servers:
            yield Link(
                self._router_device(server.router, server.namespace, _host(server.network, ROUTER_HOST)),
                Device(server.namespace, SERVER_DEVICE, (_host(server.network, SERVER_HOST),)),
            )

    def router_names(self, links: tuple[Link, ...]) -> Iterator[tuple[str, Address]]:
        """A name for every router address, as traceroute shows it: `core2.test`."""
        routers = {router for isp in self.isps for router in isp.routers} | set(self.core)
        for link in links:
            for device, _ in link.ends:
                if device.namespace in routers:
                    yield from ((f"{self._short(device.namespace)}.test", a.ip) for a in device.addresses)

    def _interfering(self, router: Namespace, index: int) -> Namespace:
        """The mobile ISP's router number `index`, with what it has to do with the interception."""
        if index == 0:
            return replace(router, icmp_silent=True)
        if index == BOX_ROUTER - 1:
            inside = self._toward(self.mobile.routers[index - 1])
            box = Intercept(inside, passing=Rate(self.box.passing))
            return replace(router, service=Service.RELAY, interference=box)
        return router

    def _chain(self, routers: tuple[str, ...], network: IPv4Network) -> Iterator[Link]:
        """Links from router to router, each with a /31 (RFC 3021) of `network`."""
        for (left, right), pair in zip(pairwise(routers), network.subnets(new_prefix=31), strict=False):
            yield Link(
                self._router_device(left, right, _host(pair, 0)), self._router_device(right, left, _host(pair, 1))
            )

    def _shapes(self) -> dict[tuple[str, str], Rate | Delay]:
        """What leaves the first namespace toward the second is shaped so. One qdisc per device, so rate and delay are
        on different links; the lab host's own devices are left to the lab host."""
        fixed, mobile = self.fixed.routers, self.mobile.routers
        shapes: dict[tuple[str, str], Rate | Delay] = {
            (fixed[1], fixed[0]): Rate(self.fixed.settings.down),
            (mobile[0], self.lab): Rate(self.box.line if self.interception else self.mobile.settings.down),
        }
        for isp in self.isps:
            first, second, third = (*isp.routers, self.core[0])[:3]
            shapes[first, second] = Rate(isp.settings.up)
            if isp.settings.delay:
                shapes[second, third] = shapes[third, second] = Delay(isp.settings.delay)
        return shapes

    def _routers(self, kind: str, count: int) -> tuple[str, ...]:
        return tuple(f"{self.prefix}-{kind}{number}" for number in range(1, count + 1))

    def _server(self, name: str, service: Service, router: str, network: str, domain: str) -> _Server:
        return _Server(f"{self.prefix}-{name}", service, router, IPv4Network(network), domain)

    def _router_device(self, router: str, peer: str, address: IPv4Interface) -> Device:
        return Device(router, self._toward(peer), (address,), self._egress.get((router, peer)))

    def _toward(self, peer: str) -> str:
        return f"to-{self._short(peer)}"

    def _short(self, namespace: str) -> str:
        return namespace.removeprefix(f"{self.prefix}-")


def _host(network: IPv4Network, number: int) -> IPv4Interface:
    """Host `number` of the network, with the network's prefix length."""
    return IPv4Interface((network[number], network.prefixlen))
