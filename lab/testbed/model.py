"""The vocabulary of the emulated internet: namespaces, the links between them, routes, shapes of traffic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network


class Role(Enum):
    """What a namespace is in the emulated internet."""

    LAB = "lab host"
    ROUTER = "router"
    SERVER = "server"

    @property
    def forwards(self) -> bool:
        return self is Role.ROUTER


class Service(Enum):
    """The daemon that runs in a server's namespace."""

    MPTCP_WEB = "mptcp-web"
    PLAIN_WEB = "plain-web"
    DNS = "dns"
    RELAY = "relay"
    """Answers in the servers' place."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit on what leaves a device: a token bucket (tc-tbf)."""

    bits: int
    """bit/s."""


@dataclass(frozen=True, slots=True)
class Delay:
    """A constant delay of what leaves a device (tc-netem)."""

    milliseconds: float


@dataclass(frozen=True, slots=True)
class Intercept:
    """Answers plain TCP connections of the subscriber itself, and relays them. Those that ask for MPTCP pass."""

    inside: str
    """The device toward the subscriber."""
    passing: Rate
    """Of the connections that pass, toward the subscriber."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Turns every MPTCP option into padding."""


@dataclass(frozen=True, slots=True)
class DropSyns:
    """Drops SYNs that ask for MPTCP."""


@dataclass(frozen=True, slots=True)
class Lose:
    """Drops packets at random, whatever they are."""

    permille: int


Interference = Intercept | Strip | DropSyns | Lose


@dataclass(frozen=True, slots=True)
class Device:
    """One end of a link: a veth device in a namespace."""

    namespace: str
    name: str
    addresses: tuple[Interface, ...]
    egress: Rate | Delay | None = None
    single_frames: bool = False
    """Sends every frame by itself, not in bursts that the next ones pass on (and lose) as one."""


@dataclass(frozen=True, slots=True)
class Link:
    """A veth pair."""

    left: Device
    right: Device

    @property
    def ends(self) -> tuple[tuple[Device, Device], tuple[Device, Device]]:
        """Each end with its peer."""
        return (self.left, self.right), (self.right, self.left)

    @property
    def networks(self) -> tuple[Network, ...]:
        return tuple(address.network for address in self.left.addresses)


@dataclass(frozen=True, slots=True)
class Route:
    """A static route; the default one has `destination` None."""

    destination: Network | None
    via: Address
    device: str
    metric: int | None = None


@dataclass(frozen=True, slots=True)
class Namespace:
    """One network namespace: a host or a router."""

    name: str
    role: Role
    routes: tuple[Route, ...] = ()
    nat_outside: str | None = None
    """Device behind whose address those inside are hidden."""
    icmp_silent: bool = False
    """Lets no ICMP time-exceeded pass to the subscriber."""
    service: Service | None = None
    interference: Interference | None = None
    """What a router does to the traffic that it should only pass on."""


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file that the host itself needs, outside every namespace."""

    path: Path
    content: str


@dataclass(frozen=True, slots=True)
class Topology:
    """The whole emulated internet."""

    namespaces: tuple[Namespace, ...]
    links: tuple[Link, ...]
    lab: str
    """Namespace of the lab host."""
    box: str
    """Namespace of the router where the mobile ISP interferes."""
    dns: Address | None
    """The resolver that everyone uses; None when there are no names."""
    names: tuple[tuple[str, Address], ...]
    """What the DNS knows: a name and its address."""

    @property
    def namespace_names(self) -> tuple[str, ...]:
        """Every namespace, in the order in which to make them."""
        return tuple(namespace.name for namespace in self.namespaces)

    @property
    def resolv_conf(self) -> HostFile:
        """`ip netns exec` shows this file as /etc/resolv.conf to what runs in the lab host's namespace."""
        return HostFile(Path("/etc/netns", self.lab, "resolv.conf"), f"nameserver {self.dns}\noptions timeout:2\n")

    def devices_of(self, namespace: str) -> Iterator[Device]:
        """The devices in one namespace."""
        for link in self.links:
            for device, _ in link.ends:
                if device.namespace == namespace:
                    yield device

    def address_of(self, name: str) -> Address:
        """The address behind a name that the DNS knows; KeyError when it knows none."""
        return dict(self.names)[name]
