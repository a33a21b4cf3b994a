"""Who may use the proxy, and where it will not go. Closed unless opened."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from socket import inet_aton, inet_ntoa

from codec.command import Command
from proxy.options import Network, Outward, Rule, Verdict

REMEMBERED = 4096
"""Judgements kept, by address: parsing one anew costs more than all else that accepting a connection does in Python."""

FORBIDDEN_DESTINATIONS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
        "::/128", "::1/128", "fe80::/10", "ff00::/8",
        "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::254/128", "fd20:ce::254/128",
    )
)  # fmt: skip
"""The proxy's own loopback, unspecified (which the kernel takes for loopback), link-local with the metadata services
that live there, multicast; and the metadata services that clouds have elsewhere.

The proxy's other addresses are not here. They come and go while it runs, and mostly its clients reach them without it;
where a firewall keeps them from it, a rule does so here."""

LOOPBACK = tuple(ipaddress.ip_network(text) for text in ("127.0.0.0/8", "::1/128"))
_EMBEDDING = ((ipaddress.IPv6Network("64:ff9b::/96"), 0), (ipaddress.IPv6Network("2002::/16"), 80))
"""NAT64 (RFC 6052) and 6to4 (RFC 3056): where IPv4 addresses stand in IPv6 ones, by the bits behind them."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Judge = Callable[[str], bool]
Destination = tuple[str | None, str | None, int]
"""Name, address and port, as `Policy.decide` takes them."""


def clients_within(networks: Iterable[Network]) -> Judge:
    """Whether a client with this address is served."""
    allowed = tuple(networks)

    @lru_cache(REMEMBERED)
    def judge(host: str) -> bool:
        return _within(_leads_to(host)[:1], allowed)

    return judge


def destinations(*, allow_loopback: bool) -> Judge:
    """Whether the proxy connects to this address (an address: names are judged by what they resolve to)."""
    forbidden = tuple(n for n in FORBIDDEN_DESTINATIONS if not (allow_loopback and n in LOOPBACK))

    @lru_cache(REMEMBERED)
    def judge(host: str) -> bool:
        addresses = _leads_to(host)
        return not (_within(addresses[:1], forbidden) or _within(addresses[1:], FORBIDDEN_DESTINATIONS))

    return judge


class Policy:
    """What whoever is served may do. The first rule that fits decides; if none does, all is allowed that is not
    forbidden when there are no rules, and nothing when there are."""

    def __init__(self, rules: Iterable[Rule], outward: Outward) -> None:
        """Raises ValueError for a name that nothing could fit."""
        self._may_reach = destinations(allow_loopback=outward.allow_loopback)
        self._rules = tuple(map(_Compiled, rules))
        self._allowed = lru_cache(REMEMBERED)(self._decide)

    def decide(
        self, client: str, user: str | None, command: Command, *, name: str | None, address: str | None, port: int
    ) -> bool:
        """Whether this may be done.

        `name` is the destination as the client gave it, or None when it gave an address; `address` is what will be
        connected to, and None while that is not known. Rules with networks do not fit then: ask again once it is.
        `user` is None for who is served without a name.
        """
        if address is None and name is not None:
            address = _literal(name)
        if address is not None and not self._may_reach(address):
            return False
        return not self._rules or self._allowed(client, user, command, (name, address, port))

    def may_ask(self, client: str, user: str | None, command: Command) -> bool:
        """Whether there may be a destination for which `decide` says yes.

        For before a name is resolved, and for UDP associations, whose destinations come later.
        """
        if not self._rules:
            return True
        source = _leads_to(client)[:1]
        for rule in self._rules:
            if rule.fits_client(source, user, command):
                if rule.allows:
                    return True
                if rule.fits_everywhere:
                    return False
        return False

    def _decide(self, client: str, user: str | None, command: Command, destination: Destination) -> bool:
        name, address, port = destination
        source = _leads_to(client)[:1]
        addresses = _leads_to(address) if address is not None else ()
        if name is not None:
            if "\\" in name:
                # The C library takes \100 for a d, so no rule could tell what such a name means. No host has one.
                return False
            name = None if _literal(name) is not None else _plain(name)
        for rule in self._rules:
            if rule.fits_client(source, user, command) and rule.fits_destination(name, addresses, port):
                return rule.allows
        return False


class _Compiled:
    """A rule, made ready to be asked."""

    __slots__ = ("_clients", "_commands", "_names", "_networks", "_ports", "_suffixes", "_users", "allows")

    def __init__(self, rule: Rule) -> None:
        names = [_rule_name(name) for name in rule.names]
        self.allows = rule.verdict is Verdict.ALLOW
        self._clients = rule.clients
        self._users = frozenset(rule.users)
        self._commands = frozenset(rule.commands)
        self._networks = rule.networks
        self._names = frozenset(names)
        self._suffixes = tuple(name for name in names if name.startswith("."))
        self._ports = rule.ports

    @property
    def fits_everywhere(self) -> bool:
        return not (self._networks or self._names or self._ports)

    def fits_client(self, address: tuple[IpAddress, ...], user: str | None, command: Command) -> bool:
        return (
            (not self._clients or _within(address, self._clients))
            and (not self._users or user in self._users)
            and (not self._commands or command in self._commands)
        )

    def fits_destination(self, name: str | None, addresses: tuple[IpAddress, ...], port: int) -> bool:
        # An address that embeds another is denied for the sake of either, and allowed for its own only.
        judged = addresses[:1] if self.allows else addresses
        return (
            (not self._networks or _within(judged, self._networks))
            and (not self._names or (name is not None and (name in self._names or name.endswith(self._suffixes))))
            and (not self._ports or any(port in ports for ports in self._ports))
        )


@lru_cache(REMEMBERED)
def _leads_to(host: str) -> tuple[IpAddress, ...]:
    """The address as the kernel takes it; then the IPv4 address that a translator or tunnel on the way makes of it."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped:
        # The kernel connects ::ffff:127.0.0.1 to 127.0.0.1.
        return (address.ipv4_mapped,)
    octets = int(address)
    embedded = [ipaddress.IPv4Address(octets >> bits & 0xFFFFFFFF) for net, bits in _EMBEDDING if address in net]
    return (address, *embedded)


def _within(addresses: tuple[IpAddress, ...], networks: tuple[Network, ...]) -> bool:
    return any(address in network for address in addresses for network in networks)


def _literal(name: str) -> str | None:
    """The address that a name spells, in any of the ways that the C library's resolver takes: 127.1 is 127.0.0.1."""
    try:
        return inet_ntoa(inet_aton(_plain(name)))
    except (OSError, ValueError):
        pass
    try:
        return str(ipaddress.ip_address(_plain(name)))
    except ValueError:
        return None


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _rule_name(name: str) -> str:
    plain = _plain(name)
    if not plain.strip(".") or not plain.isascii():
        raise ValueError(f"{name!r} is not a name in its ASCII form (xn--…)")
    if _literal(plain) is not None:
        raise ValueError(f"{name!r} is an address: it goes into networks")
    return plain
