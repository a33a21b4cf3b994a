"""Steps on the host's network: taps, nftables tables, sysctls, routing rules and routes."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from typing import Any, ClassVar, Self

from lab.errors import MpsocksError
from lab.runner import Runner
from lab.steps.base import Step


def _taken(subject: str, hint: str) -> MpsocksError:
    return MpsocksError(f"{subject} is already in use", why="it is there, and mpsocks did not make it", hint=hint)


@dataclass(frozen=True, slots=True)
class Tap(Step):
    """A tap device with an address, up."""

    name: str
    address: str
    """The host's address with its prefix length."""
    kind: ClassVar[str] = "tap"

    @property
    def subject(self) -> str:
        return f"tap {self.name}"

    def prepared(self, host: Runner) -> Self:
        if self.stands(host):
            raise _taken(self.subject, f"remove it: ip link delete {self.name}")
        self._refuse_overlap(host)
        return self

    def _refuse_overlap(self, host: Runner) -> None:
        """A network that is already somewhere else must not be hidden by ours."""
        ours = ip_interface(self.address).network
        for route in host.read_json("ip", "-j", f"-{ours.version}", "route", "show", "table", "main"):
            if route["dst"] == "default":
                continue
            theirs = ip_network(route["dst"])
            on_link = route.get("scope") == "link"
            # A wide route to somewhere far, as a VPN sets it, can do without the few addresses that we take of it.
            if ours.supernet_of(theirs) or (on_link and ours.overlaps(theirs)):  # type: ignore[arg-type]
                raise MpsocksError(
                    f"{self.name} would take {ours}, which this host uses already",
                    why=f"there is a route to {theirs} over {route.get('dev', 'another interface')}",
                    hint="leave that network first: mpsocks' addresses are fixed",
                )

    def stands(self, host: Runner) -> bool:
        return host.probe("ip", "-j", "link", "show", "dev", self.name).ok

    def apply(self, host: Runner) -> None:
        commands = (
            f"tuntap add dev {self.name} mode tap",
            f"address add {self.address} dev {self.name}",
            f"link set dev {self.name} up",
        )
        host.change("ip", "-batch", "-", stdin="\n".join(commands))

    def undo(self, host: Runner) -> None:
        if self.stands(host):
            host.change("ip", "link", "delete", "dev", self.name)


@dataclass(frozen=True, slots=True)
class NftTable(Step):
    """An nftables table of our own, loaded whole."""

    family: str
    name: str
    ruleset: str
    """The table's text, as `nft -f` reads it."""
    kind: ClassVar[str] = "nft-table"

    @property
    def subject(self) -> str:
        return f"nftables table {self.family} {self.name}"

    def prepared(self, host: Runner) -> Self:
        if self.stands(host):
            raise _taken(self.subject, f"remove it (nft delete table {self.family} {self.name})")
        return self

    def stands(self, host: Runner) -> bool:
        return host.probe("nft", "-j", "list", "table", self.family, self.name).ok

    def apply(self, host: Runner) -> None:
        host.change("nft", "-f", "-", stdin=self.ruleset)

    def undo(self, host: Runner) -> None:
        if self.stands(host):
            host.change("nft", "delete", "table", self.family, self.name)


@dataclass(frozen=True, slots=True)
class Sysctl(Step):
    """A kernel setting, put back to what it was."""

    key: str
    """Path below /proc/sys, with slashes: interface names may hold dots."""
    value: str
    previous: str | None = None
    kind: ClassVar[str] = "sysctl"
    shared: ClassVar[bool] = True
    remembered: ClassVar[tuple[str, ...]] = ("previous",)

    @property
    def subject(self) -> str:
        return f"sysctl {self.key}"

    def prepared(self, host: Runner) -> Self:
        return dataclasses.replace(self, previous=self._current(host))

    def stands(self, host: Runner) -> bool:
        return self._current(host) == self.value

    def apply(self, host: Runner) -> None:
        if not self.stands(host):
            host.change("sysctl", "-q", "-w", f"{self.key}={self.value}")

    def undo(self, host: Runner) -> None:
        # A setting that went with its interface needs no undoing, and one that someone else changed since is theirs.
        if self.previous not in (None, self.value) and self.stands(host):
            host.change("sysctl", "-q", "-w", f"{self.key}={self.previous}")

    def _current(self, host: Runner) -> str | None:
        found = host.probe("sysctl", "-n", self.key)
        return found.stdout.strip() if found.ok else None


@dataclass(frozen=True, slots=True)
class RoutingRule(Step):
    """A policy routing rule: what comes from `source` looks into `table`."""

    family: int
    """4 or 6."""
    source: str
    table: int
    priority: int
    kind: ClassVar[str] = "rule"

    @property
    def subject(self) -> str:
        return f"rule {self.priority}: from {self.source} lookup {self.table}"

    def prepared(self, host: Runner) -> Self:
        if self.stands(host):
            raise _taken(self.subject, f"remove it (ip -{self.family} rule delete priority {self.priority})")
        return self

    def stands(self, host: Runner) -> bool:
        found = host.probe("ip", "-j", "-N", f"-{self.family}", "rule", "show", "priority", str(self.priority))
        rules = json.loads(found.stdout or "[]") if found.ok else []
        return any(rule.get("src") == self.source and str(rule.get("table")) == str(self.table) for rule in rules)

    def apply(self, host: Runner) -> None:
        host.change("ip", f"-{self.family}", "rule", "add", *self._selector())

    def undo(self, host: Runner) -> None:
        if self.stands(host):
            host.change("ip", f"-{self.family}", "rule", "delete", *self._selector())

    def _selector(self) -> tuple[str, ...]:
        return ("from", self.source, "lookup", str(self.table), "priority", str(self.priority))


@dataclass(frozen=True, slots=True)
class Route(Step):
    """One route in one table, in the words of `ip route`."""

    family: int
    """4 or 6."""
    table: str
    """A number, or `main`."""
    destination: str
    """A prefix or `default`; after `unreachable ` a route that refuses."""
    path: tuple[str, ...] = ()
    """The rest of the route: via, dev, onlink, metric."""
    kind: ClassVar[str] = "route"

    @property
    def subject(self) -> str:
        return f"route {self.destination} in table {self.table}"

    def prepared(self, host: Runner) -> Self:
        if self._like_it(host):
            raise _taken(self.subject, f"look at it with `ip -{self.family} route show table {self.table}`")
        return self

    def stands(self, host: Runner) -> bool:
        return any(self._leads_the_same_way(route) for route in self._like_it(host))

    def _like_it(self, host: Runner) -> list[dict[str, Any]]:
        """The routes of this kind to this destination, whichever way they lead."""
        found = host.probe("ip", "-j", f"-{self.family}", "route", "show", "table", self.table)
        # A table that never had a route does not exist, and ip answers with an error and half a list.
        routes: list[dict[str, Any]] = json.loads(found.stdout or "[]") if found.ok else []
        *refusal, destination = self.destination.split(" ")
        kind, bare = (refusal or ["unicast"])[0], destination.removesuffix("/32").removesuffix("/128")
        return [route for route in routes if route.get("type", "unicast") == kind and route.get("dst") == bare]

    def _leads_the_same_way(self, route: dict[str, Any]) -> bool:
        gateway = route.get("gateway") or route.get("via", {}).get("host")
        words = dict(zip(self.path, self.path[1:], strict=False))
        wanted = words.get("inet6") or words.get("via")
        return gateway == wanted and route.get("dev") == words.get("dev", route.get("dev"))

    def apply(self, host: Runner) -> None:
        host.change("ip", f"-{self.family}", "route", "add", *self._words())

    def undo(self, host: Runner) -> None:
        if self.stands(host):
            host.change("ip", f"-{self.family}", "route", "delete", *self._words())

    def _words(self) -> tuple[str, ...]:
        return (*self.destination.split(" "), *self.path, "table", self.table)
