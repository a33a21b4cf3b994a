"""Which name servers the guest is told: those of the lab host, as far as the guest can reach them."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

from lab.errors import MpsocksError
from lab.runner import Runner

# systemd-resolved's stub listens on loopback; the servers that it asks are in the second file.
RESOLV_CONFS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
USED = 3  # the resolver reads no more (MAXNS)


def host_nameservers(host: Runner, families: Collection[int] = (4,)) -> tuple[str, ...]:
    """The lab host's name servers of these IP versions, without those that only the host itself can reach."""
    for path in RESOLV_CONFS:
        found = host.probe("cat", path)
        servers = reachable_nameservers(found.stdout, families) if found.ok else ()
        if servers:
            return servers
    wanted = " or ".join(f"IPv{family}" for family in families)
    raise MpsocksError(
        "no name server for the guest",
        why=f"{' and '.join(RESOLV_CONFS)} name none with an {wanted} address beyond this host's loopback",
        hint="name some in INVOKE_MPSOCKS_GUEST_NAMESERVERS, separated by commas, as in\n"
        "export INVOKE_MPSOCKS_GUEST_NAMESERVERS=192.0.2.53, and run this again",
    )


def reachable_nameservers(resolv_conf: str, families: Collection[int] = (4,)) -> tuple[str, ...]:
    """The addresses of these IP versions in `nameserver` lines, as far as they mean the same on another machine."""
    words = [line.split() for line in resolv_conf.splitlines()]
    named = [word[1].split("%")[0] for word in words if len(word) > 1 and word[0] == "nameserver"]
    usable = [name for name in named if _means_the_same_elsewhere(name, families)]
    return tuple(usable[:USED])


def _means_the_same_elsewhere(name: str, families: Collection[int]) -> bool:
    try:
        address = ip_address(name)
    except ValueError:
        return False  # the resolver too passes over what it cannot read
    return address.version in families and not (address.is_loopback or address.is_link_local)
