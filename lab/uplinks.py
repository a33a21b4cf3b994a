"""What the lab host knows of an uplink: whether it is there, and its way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Any

from lab.errors import BadInputError
from lab.plan import MAX_TAPS, tap_plan
from lab.runner import Runner

NO_UPLINKS = frozenset({"lo", *(tap_plan(n).tap for n in range(MAX_TAPS))})


@dataclass(frozen=True, slots=True)
class Uplink:
    """An interface of the lab host with a default route over it."""

    name: str
    path: tuple[str, ...]
    """The route's way, in the words of `ip route`: `via GATEWAY dev NAME`, or `dev NAME` on a point-to-point link."""


def require_interface(host: Runner, name: str) -> None:
    """Refuse a name that is no interface here, one that leads to this host or its guest only, and one that is down."""
    links = {link["ifname"]: link for link in host.read_json("ip", "-j", "link", "show")}
    known = ", ".join(sorted(set(links) - NO_UPLINKS)) or "none"
    if name in NO_UPLINKS:
        what = "the loopback interface" if name == "lo" else "the lab's own tap, towards the guest"
        raise BadInputError(
            f"{name} cannot be an uplink", why=f"it is {what}", hint=f"name another of this host's interfaces: {known}"
        )
    if name not in links:
        raise BadInputError(f"there is no interface {name!r}", why=f"this host has: {known}", hint="name one of these")
    if "UP" not in links[name]["flags"]:
        raise BadInputError(f"interface {name} is down", hint=f"bring it up: ip link set dev {name} up")


def find_uplink(host: Runner, name: str, gateway: str = "", family: int = 4) -> Uplink:
    """The uplink of that name, with its gateway from the host's routes, or `gateway` instead.

    `BadInputError` when there is no such interface, no default route over it, or the gateway is not on its link.
    """
    require_interface(host, name)
    if gateway:
        return Uplink(name, ("via", _on_link(host, name, gateway, family), "dev", name))
    routes = default_routes(host.read_json("ip", "-j", f"-{family}", "route", "show", "default"), name)
    if not routes:
        raise BadInputError(
            f"interface {name} has no default route",
            why="nothing tells which gateway leads out over it",
            hint="connect it, or name the gateway with --gateway",
        )
    return Uplink(name, route_path(name, routes[0]))


def default_routes(routes: Iterable[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Of default routes as `ip -j route` tells them, the ways over that interface, the preferred one first.

    One route may share its traffic between several ways, of which each has an interface of its own (`nexthops`).
    """
    by_metric = sorted(routes, key=lambda route: int(route.get("metric", 0)))
    ways = (way for route in by_metric for way in route.get("nexthops", [route]))
    return [way for way in ways if way.get("dev") == name]


def route_path(name: str, route: dict[str, Any]) -> tuple[str, ...]:
    """The way of a default route as `ip -j route` tells it: through a gateway of either family, or through none."""
    words: tuple[str, ...] = ()
    if "gateway" in route:
        words = ("via", route["gateway"])
    elif "via" in route:  # an IPv4 route through an IPv6 gateway (RFC 5549)
        words = ("via", route["via"]["family"], route["via"]["host"])
    onlink = ("onlink",) if "onlink" in route.get("flags", []) else ()
    return (*words, "dev", name, *onlink)


def _on_link(host: Runner, name: str, gateway: str, family: int) -> str:
    """The gateway as `ip` writes it, when it can be reached over that interface."""
    try:
        address = ip_address(gateway)
    except ValueError as error:
        raise BadInputError(
            "the gateway is not an address", why=str(error), hint="as in --gateway 192.168.1.1"
        ) from error
    links = host.read_json("ip", "-j", f"-{family}", "address", "show", "dev", name)
    infos = [info for link in links for info in link.get("addr_info", [])]
    networks = [ip_interface(f"{info['local']}/{info['prefixlen']}").network for info in infos]
    peers = [info["address"] for info in infos if "address" in info]
    if not any(address in network for network in networks) and str(address) not in peers:
        on_link = ", ".join(map(str, networks)) or "none"
        raise BadInputError(
            f"gateway {gateway} cannot be reached over {name}",
            why=f"the networks on that link are: {on_link}",
            hint="name a gateway on one of these",
        )
    return str(address)
