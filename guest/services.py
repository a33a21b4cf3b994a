"""The services in the guest: which there are, and everything that each consists of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from guest.connection import FORWARDING_SSHD_PORT
from lab.errors import BadInputError
from lab.plan import LAB_NETWORK, REDIRECT_PORT, SOCKS_PORT, TapPlan
from lab.templates import render

FOLDER = "/opt/mpsocks"
BUNDLE = f"{FOLDER}/mpsocks.pyz"
TEMPLATES = Path(__file__).with_name("units")


class SocksServer(StrEnum):
    """What serves SOCKS in the guest."""

    MPSOCKS = "mpsocks"
    DANTE = "dante"
    SSH = "ssh"
    """`ssh -D` on the lab host's loopback, through a second sshd in the guest."""

    @property
    def unit(self) -> str:
        return {"mpsocks": "mpsocks-proxy", "dante": "mpsocks-dante", "ssh": "mpsocks-sshd"}[self]

    @property
    def port(self) -> int:
        """The port that it listens on in the guest."""
        return FORWARDING_SSHD_PORT if self is SocksServer.SSH else SOCKS_PORT

    @property
    def needs(self) -> tuple[str, ...]:
        """The programs that only the extra image has."""
        return {"mpsocks": (), "dante": ("danted", "mptcpize"), "ssh": ("mptcpize",)}[self]


class Socksifier(StrEnum):
    """What takes routed TCP connections in the guest."""

    MPSOCKS = "mpsocks"
    REDSOCKS = "redsocks"

    @property
    def unit(self) -> str:
        return {"mpsocks": "mpsocks-socksifier", "redsocks": "mpsocks-redsocks"}[self]

    @property
    def needs(self) -> tuple[str, ...]:
        return {"mpsocks": (), "redsocks": ("redsocks",)}[self]


@dataclass(frozen=True, slots=True)
class Service:
    """One service of systemd in the guest."""

    unit: str
    port: int
    """The port on which it listens once it has started."""
    rivals: tuple[str, ...]
    """The units that do the same, which are ended first."""
    needs: tuple[str, ...]
    """Programs that the guest must have."""
    files: tuple[tuple[str, str], ...]
    """Path and text of everything that it reads, its unit file included."""
    bundled: bool
    """Whether it is our own, from the zipapp."""


def socks_service(server: SocksServer, plans: tuple[TapPlan, ...]) -> Service:
    """The service behind `server` in a guest with these taps."""
    configuration = ("danted.conf",) if server is SocksServer.DANTE else ()
    return Service(
        unit=server.unit,
        port=server.port,
        rivals=tuple(other.unit for other in SocksServer if other is not server),
        needs=server.needs,
        files=_files(server.unit, configuration, plans),
        bundled=server is SocksServer.MPSOCKS,
    )


def socksifier_service(socksifier: Socksifier, plans: tuple[TapPlan, ...]) -> Service:
    """The service behind `socksifier` in a guest with these taps."""
    configuration = ("redsocks.conf",) if socksifier is Socksifier.REDSOCKS else ()
    return Service(
        unit=socksifier.unit,
        port=REDIRECT_PORT,
        rivals=tuple(other.unit for other in Socksifier if other is not socksifier),
        needs=socksifier.needs,
        files=_files(socksifier.unit, configuration, plans),
        bundled=socksifier is Socksifier.MPSOCKS,
    )


def redirect_ruleset(plans: tuple[TapPlan, ...]) -> str:
    """The nftables ruleset that hands routed TCP connections to the socksifier."""
    return render(TEMPLATES / "redirect.nft.j2", **template_values(plans))


def needs_extra_image(server: SocksServer, socksifier: Socksifier) -> bool:
    """Whether the guest must be booted from the image that `install-vm-extra` makes."""
    return bool(server.needs or socksifier.needs)


def require_fit(server: SocksServer, socksifier: Socksifier) -> None:
    """Refuse a pair that cannot work together."""
    if server is SocksServer.SSH and socksifier is Socksifier.REDSOCKS:
        raise BadInputError(
            "redsocks cannot be used with --server ssh",
            why="redsocks hands connections to a SOCKS server in the guest, and ssh -D has its own on the lab host",
            hint="use --socksifier mpsocks, or --server mpsocks or dante",
        )


def template_values(plans: tuple[TapPlan, ...]) -> dict[str, Any]:
    """What the templates in `units/` are rendered with."""
    return {
        "plans": plans,
        "addresses": [str(plan.guest.ip) for plan in plans],
        "socks_port": SOCKS_PORT,
        "redirect_port": REDIRECT_PORT,
        "ssh_port": FORWARDING_SSHD_PORT,
        "lab_network": LAB_NETWORK,
        "folder": FOLDER,
        "bundle": BUNDLE,
    }


def _files(unit: str, configuration: tuple[str, ...], plans: tuple[TapPlan, ...]) -> tuple[tuple[str, str], ...]:
    remote = {f"{unit}.service.j2": f"/etc/systemd/system/{unit}.service"}
    remote |= {f"{name}.j2": f"{FOLDER}/{name}" for name in configuration}
    return tuple((path, render(TEMPLATES / name, **template_values(plans))) for name, path in remote.items())
