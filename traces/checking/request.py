"""What `check-mptcp` is to check: the servers with all their addresses, and the lab's uplinks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from guest.start import socks_address
from lab.context import Lab
from lab.errors import MpsocksError
from lab.plan import TapPlan, tap_plan
from lab.runner import Runner
from lab.standing import standing_uplinks
from traces.checking.fetch import Address, Target, parse_target, resolve
from traces.checking.subflows import Endpoint


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be checked."""

    page: Target
    bulk: Target | None
    bulk_sha256: str
    socks: str
    """Address and port of the SOCKS server."""
    uplinks: tuple[tuple[TapPlan, str], ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        return (self.page, self.bulk) if self.bulk else (self.page,)

    @property
    def names(self) -> tuple[str, ...]:
        """The uplinks, each once."""
        return tuple(dict.fromkeys(name for _plan, name in self.uplinks))

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Every address of the servers, each once."""
        return tuple(dict.fromkeys(address for target in self.targets for address in target.addresses))

    @property
    def unresolved(self) -> str:
        """The first host of which no address is known; empty when there is none such."""
        return next((target.host for target in self.targets if not target.addresses), "")

    @property
    def families(self) -> tuple[int, ...]:
        """The IP versions that the taps have, 4 or 6."""
        return tuple(sorted({plan.guest.version for plan, _name in self.uplinks}))

    @property
    def endpoints(self) -> frozenset[Endpoint]:
        """Address and port of everything that a connection of the check may go to."""
        return frozenset(endpoint for target in self.targets for endpoint in target.endpoints)

    @property
    def expression(self) -> str:
        """The pcap filter for everything to and from the servers; none of them may be without an address."""
        parts = (
            f"(tcp and port {target.port} and ({' or '.join(f'host {address}' for address in target.addresses)}))"
            for target in self.targets
        )
        return " or ".join(dict.fromkeys(parts))

    def gateway(self, family: int) -> Address:
        """The guest's first address of that family."""
        return next(plan.guest.ip for plan, _name in self.uplinks if plan.guest.version == family)

    def resolved_from(self, runner: Runner) -> Request:
        """The same with the addresses that the servers' names have there, of those families that the taps have."""
        page, *bulk = (resolve(target, runner, self.families) for target in self.targets)
        return dataclasses.replace(self, page=page, bulk=bulk[0] if bulk else None)


def make_request(lab: Lab, options: dict[str, str]) -> Request:
    """The request that the settings describe, and `options` where given; `MpsocksError` when no uplink stands."""
    settings = dataclasses.replace(lab.settings.check, **{name: value for name, value in options.items() if value})
    page = parse_target(settings.page_url)
    bulk = parse_target(settings.bulk_url) if settings.bulk_url else None
    uplinks = standing_uplinks(lab)
    if not uplinks and lab.host.dry:
        uplinks = ((tap_plan(0), "UPLINK"),)
    if not uplinks:
        raise MpsocksError(
            "no uplink is set up",
            why="there is no guest whose connections could be checked",
            hint="start one: invoke boot-socks --itf wlp1s0,wlan1 --detach",
        )
    return Request(page, bulk, settings.bulk_sha256, socks_address(lab), uplinks)
