"""Which name servers the guest is told: those of the lab host, as far as the guest can reach them."""

from __future__ import annotations

from ipaddress import ip_address

from lab.errors import MpsocksError
from lab.runner import Runner

# systemd-resolved's stub listens on loopback; the servers that it asks are in the second file.
RESOLV_CONFS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
USED = 3  # the resolver reads no more (MAXNS)


def host_nameservers(host: Runner) -> tuple[str, ...]:
    """The lab host's name servers, without those that only the host itself can reach."""
    for path in RESOLV_CONFS:
        found = host.probe("cat", path)
        servers = reachable_nameservers(found.stdout) if found.ok else ()
        if servers:
            return servers
    raise MpsocksError(
        "no name server for the guest",
        why=f"{' and '.join(RESOLV_CONFS)} name none beyond this host's loopback",
        hint="name some: INVOKE_MPSOCKS_GUEST_NAMESERVERS=192.0.2.53 invoke configure-guest-nw",
    )


def reachable_nameservers(resolv_conf: str) -> tuple[str, ...]:
    """The addresses of the `nameserver` lines that mean the same on another machine."""
    words = [line.split() for line in resolv_conf.splitlines()]
    named = [word[1].split("%")[0] for word in words if len(word) > 1 and word[0] == "nameserver"]
    addresses = [ip_address(name) for name in named]
    usable = [address for address in addresses if not (address.is_loopback or address.is_link_local)]
    return tuple(str(address) for address in usable[:USED])
