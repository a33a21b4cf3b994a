"""A short path with one box on it, for measurements that must be quick: the plan. Pure.

    client ── r1 ── r2 ── r3 (box) ── r4 ─┬─ web
              └─ near                     └─ plain

`render` and `build` make it as they make the whole emulated internet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network
from itertools import count, pairwise

from lab.testbed.model import Device, Intercept, Interference, Link, Namespace, Rate, Role, Service, Topology
from lab.testbed.routing import static_routes

CLIENT_DEVICE = "uplink0"
SERVER_DEVICE = "eth0"
BOX_ROUTER = 3
ROUTERS = 4
NETWORKS = IPv4Network("198.18.0.0/24")  # benchmarking (RFC 2544): nobody's
SERVERS = {"near": Service.MPTCP_WEB, "web": Service.MPTCP_WEB, "plain": Service.PLAIN_WEB}


def intercepting(passing: Rate) -> Intercept:
    """The interception box as it fits on this path."""
    return Intercept(inside=f"to-r{BOX_ROUTER - 1}", passing=passing)


def corridor(prefix: str, line: Rate, interference: Interference | None = None) -> Topology:
    """The path, with `line` as the rate toward the client and what the box does on it.

    `near`, `web` and `plain` are the names of the servers; there is no resolver for them.
    """
    routers = [f"{prefix}-r{number}" for number in range(1, ROUTERS + 1)]
    client, box = f"{prefix}-client", routers[BOX_ROUTER - 1]
    links = tuple(_links(prefix, client, routers, line))
    namespaces = (
        Namespace(client, Role.LAB),
        *(_router(name, interference if name == box else None) for name in routers),
        *(Namespace(f"{prefix}-{name}", Role.SERVER, service=service) for name, service in SERVERS.items()),
    )
    routes = static_routes(namespaces, links, root=routers[-1])
    addresses = {name: _address(links, f"{prefix}-{name}") for name in SERVERS}
    return Topology(
        namespaces=tuple(replace(namespace, routes=routes[namespace.name]) for namespace in namespaces),
        links=links,
        lab=client,
        box=box,
        dns=None,
        names=tuple((name, address.ip) for name, address in addresses.items()),
    )


def _router(name: str, interference: Interference | None) -> Namespace:
    service = Service.RELAY if isinstance(interference, Intercept) else None
    return Namespace(name, Role.ROUTER, service=service, interference=interference)


def _links(prefix: str, client: str, routers: list[str], line: Rate) -> Iterator[Link]:
    """Each with a /30 of its own: the nearer to the client has the first address."""
    networks = NETWORKS.subnets(new_prefix=30)
    numbers = count(1)

    def link(left: str, left_device: str, right: str, right_device: str, rate: Rate | None = None) -> Link:
        network = next(networks)
        first, second = (IPv4Interface((network[number], 30)) for number in (1, 2))
        return Link(
            Device(left, left_device, (first,), rate, single_frames=True),
            Device(right, right_device, (second,), single_frames=True),
        )

    yield _turned(link(routers[0], "to-client", client, CLIENT_DEVICE, line))
    for left, right in pairwise(routers):
        number = next(numbers)
        yield link(left, f"to-r{number + 1}", right, f"to-r{number}")
    for name in SERVERS:
        router = routers[0] if name == "near" else routers[-1]
        yield link(router, f"to-{name}", f"{prefix}-{name}", SERVER_DEVICE)


def _turned(link: Link) -> Link:
    return Link(link.right, link.left)


def _address(links: tuple[Link, ...], namespace: str) -> IPv4Interface:
    address = next(link.right.addresses[0] for link in links if link.right.namespace == namespace)
    assert isinstance(address, IPv4Interface)
    return address
