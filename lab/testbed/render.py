"""The emulated internet as text for the kernel's tools: `ip -batch`, `tc -batch`, `sysctl -p`, `nft -f`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab.templates import render
from lab.testbed.model import (
    Delay,
    DropSyns,
    Intercept,
    Interference,
    Lose,
    Namespace,
    Rate,
    Role,
    Service,
    Strip,
    Topology,
)
from lab.testbed.settings import INITIAL_TTL

FRAME = 1514
BURST_SECONDS = 0.005
QUEUE_SECONDS = 0.060
MIN_QUEUE = 64 * 1024
NETEM_PACKETS = 10_000
MPTCP_LIMIT = 8

BOX_TTL = 128
RELAY_PORT = 8880
PASSING_CLASS = "1:10"
"""The class (tc-htb) of what passes an intercepting box; everything else has none, and no limit."""

HERE = Path(__file__).parent
BOXES = HERE / "box"


def links_batch(topology: Topology) -> str:
    """`ip -batch`: every veth pair, each end made in its own namespace, so that none ever shows on the host."""
    return _lines(
        f"link add {link.left.name} netns {link.left.namespace} type veth"
        f" peer name {link.right.name} netns {link.right.namespace}"
        for link in topology.links
    )


def namespace_batch(topology: Topology, namespace: Namespace) -> str:
    """`ip -n NAMESPACE -batch`: devices up, addresses, routes; a server's MPTCP limits, so that it accepts joins."""
    return _lines(_namespace_commands(topology, namespace))


def shapes_batch(topology: Topology, namespace: Namespace) -> str:
    """`tc -n NAMESPACE -batch`: the rates and delays of what leaves it; empty when there are none."""
    shapes = [
        f"qdisc add dev {device.name} root {_qdisc(device.egress)}"
        for device in topology.devices_of(namespace.name)
        if device.egress is not None
    ]
    if isinstance(namespace.interference, Intercept):
        shapes += _passing(namespace.interference)
    return _lines(iter(shapes))


def sysctls(namespace: Namespace) -> str:
    """`sysctl -p`, to be loaded before there are devices: a new namespace takes over some of the host's values."""
    values: dict[str, object] = {
        "net.ipv4.ip_forward": int(namespace.role.forwards),
        # Loose (RFC 3704): the path back may be another uplink.
        "net.ipv4.conf.all.rp_filter": 2,
        "net.ipv4.conf.default.rp_filter": 2,
        # IPv4 only for now: no link-local addresses that come up a second later, no router solicitations in captures.
        "net.ipv6.conf.default.addr_gen_mode": 1,
    }
    if namespace.role is not Role.LAB:
        # Every probe is answered, however many there are. icmp_ratelimit = 0 would lift the limit per destination only,
        # and leave icmp_msgs_per_sec with its bursts of 50; a type outside the mask is under neither.
        values["net.ipv4.icmp_ratemask"] = 0
    if isinstance(namespace.interference, Intercept):
        # What the box answers itself is told by its TTL; toward the servers it must not speak MPTCP either.
        values |= {"net.ipv4.ip_default_ttl": BOX_TTL, "net.mptcp.enabled": 0}
        values |= {"net.ipv4.tcp_congestion_control": "reno"}
    if namespace.role is Role.SERVER:
        values |= {
            "net.mptcp.enabled": int(namespace.service is Service.MPTCP_WEB),
            "net.ipv4.ip_default_ttl": INITIAL_TTL,
            # The host's choice differs from host to host; this is the one that every namespace may choose.
            "net.ipv4.tcp_congestion_control": "reno",
            "net.ipv4.tcp_fastopen": 3,
        }
    return _lines(f"{name} = {value}" for name, value in values.items())


def ruleset(namespace: Namespace) -> str:
    """`nft -f`: address translation, silence about ICMP, interference; empty when the namespace has none."""
    parts = []
    if namespace.nat_outside is not None:
        parts.append(render(HERE / "nat.nft.j2", outside=namespace.nat_outside))
    if namespace.icmp_silent:
        parts.append(render(HERE / "icmp-silence.nft.j2"))
    if namespace.interference is not None:
        parts.append(_box(namespace.interference))
    return "".join(parts)


def _box(interference: Interference) -> str:
    match interference:
        case Intercept(inside=inside):
            return render(BOXES / "intercept.nft.j2", inside=inside, port=RELAY_PORT, priority=PASSING_CLASS)
        case Strip():
            return render(BOXES / "strip.nft.j2")
        case DropSyns():
            return render(BOXES / "drop-syns.nft.j2")
        case Lose(permille=permille):
            return render(BOXES / "lose.nft.j2", permille=permille)


def dnsmasq_configuration(topology: Topology) -> str:
    """The DNS server's configuration file."""
    return render(HERE / "dnsmasq.conf.j2", address=topology.dns, names=topology.names)


def _namespace_commands(topology: Topology, namespace: Namespace) -> Iterator[str]:
    yield "link set dev lo up"
    for device in topology.devices_of(namespace.name):
        yield from (f"address add {address} dev {device.name}" for address in device.addresses)
        if device.single_frames:
            yield f"link set dev {device.name} gso_max_segs 1"
        yield f"link set dev {device.name} up"
    for route in namespace.routes:
        metric = f" metric {route.metric}" if route.metric is not None else ""
        yield f"route add {route.destination or 'default'} via {route.via} dev {route.device}{metric}"
    if namespace.service is Service.MPTCP_WEB:
        yield f"mptcp limits set subflows {MPTCP_LIMIT} add_addr_accepted {MPTCP_LIMIT}"


def _passing(box: Intercept) -> Iterator[str]:
    """A class for what passes the box. The class only sorts out, and the bucket within it limits."""
    yield f"qdisc add dev {box.inside} root handle 1: htb"
    yield f"class add dev {box.inside} parent 1: classid {PASSING_CLASS} htb rate 10gbit quantum 60000"
    yield f"qdisc add dev {box.inside} parent {PASSING_CLASS} {_qdisc(box.passing)}"


def _qdisc(shape: Rate | Delay) -> str:
    if isinstance(shape, Delay):
        return f"netem delay {shape.milliseconds:g}ms limit {NETEM_PACKETS}"
    # tbf cuts a GSO packet larger than its bucket into frames (tbf_segment), so a small bucket costs no throughput and
    # keeps the uplink from seeing 64 KiB at once. Below ten frames the timer's grain would show.
    octets = shape.bits / 8
    bucket = max(int(octets * BURST_SECONDS), 10 * FRAME)
    queue = max(int(octets * QUEUE_SECONDS), MIN_QUEUE)
    return f"tbf rate {shape.bits}bit burst {bucket} limit {queue}"


def _lines(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
