"""Static routes for a tree of links, found by flooding each network through it as a routing protocol would."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from lab.testbed.model import Address, Link, Namespace, Network, Route


def static_routes(namespaces: Iterable[Namespace], links: Iterable[Link], root: str) -> dict[str, tuple[Route, ...]]:
    """The routes that each namespace needs to reach every network that is announced to it.

    The default route leads toward the namespace `root`, so only what lies elsewhere is listed; `root` itself has no
    default route, and answers that there is no way to an address that nobody has. What is inside an address translator
    is not announced outside it, and only routers pass an announcement on.
    """
    by_name = {namespace.name: namespace for namespace in namespaces}
    links = tuple(links)
    routes: dict[str, list[Route]] = {name: [] for name in by_name}
    for link in links:
        for network in link.networks:
            for name, route in _announce(link, network, links, by_name):
                routes[name].append(route)
    beside_root = (link for link in links if root in (link.left.namespace, link.right.namespace))
    core = {network for link in beside_root for network in link.networks}
    return {name: _with_default(found, core) for name, found in routes.items()}


def _announce(
    origin: Link, network: Network, links: tuple[Link, ...], by_name: Mapping[str, Namespace]
) -> list[tuple[str, Route]]:
    """Who, beyond the two ends of `origin`, learns of `network`, and by which route it gets there."""
    learned: list[tuple[str, Route]] = []
    known = {device.namespace for device, _ in origin.ends}
    waiting = deque(device for device, _ in origin.ends)
    while waiting:
        inbound = waiting.popleft()
        speaker = by_name[inbound.namespace]
        inside = speaker.nat_outside is not None and inbound.name != speaker.nat_outside
        if not speaker.role.forwards or inside:
            continue
        for link in links:
            for device, peer in link.ends:
                if peer.namespace == speaker.name and device.namespace not in known:
                    known.add(device.namespace)
                    via: Address = next(a.ip for a in peer.addresses if a.version == network.version)
                    learned.append((device.namespace, Route(network, via, device.name)))
                    waiting.append(device)
    return learned


def _with_default(routes: list[Route], core: set[Network]) -> tuple[Route, ...]:
    """The routes, with those into `core` turned into a default route, and those that it makes needless left out."""
    default = dict.fromkeys(Route(None, route.via, route.device) for route in routes if route.destination in core)
    covered = {(route.via, route.device) for route in default}
    return (*(route for route in routes if (route.via, route.device) not in covered), *default)
