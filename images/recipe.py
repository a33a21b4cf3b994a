"""What goes into a guest image: plain data, from which the image's key in the cache is made."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from lab.cache import file_digest, fingerprint
from lab.errors import BadInputError

# Raised when build.py makes another image from the same recipe and files.
BUILDER_VERSION = 1
HERE = Path(__file__).parent

BASE_PACKAGES = (
    "ca-certificates",
    "curl",
    "ethtool",
    "iproute2",
    "iputils-ping",
    "kmod",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "systemd-sysv",
    "tcpdump",
    # Without it no interface is named, and boot waits 90 s for its console.
    "udev",
    "wget",
)
EXTRA_PACKAGES = ("mptcpize", "redsocks")
# Debian 13 has dropped it; this one package comes from the suite before.
DANTE_PACKAGE = "dante-server"
DANTE_SUITE = "bookworm"
# Their own units would start before they are configured.
EXTRA_UNITS = ("danted.service", "redsocks.service")

MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
INTERFACE = re.compile(r"[a-z][a-z0-9._-]{0,14}")


class Variant(Enum):
    """Which image: the base, or the base with other people's proxies to compare with."""

    BASE = "base"
    EXTRA = "extra"

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages taken from the image's own suite."""
        return BASE_PACKAGES if self is Variant.BASE else BASE_PACKAGES + EXTRA_PACKAGES

    @property
    def masked_units(self) -> tuple[str, ...]:
        return () if self is Variant.BASE else EXTRA_UNITS


@dataclass(frozen=True, slots=True)
class GuestLink:
    """One interface of the guest, found by `mac`, called `name` and given `address` as soon as it appears."""

    mac: str
    name: str
    address: str
    """With its prefix length, as in 10.66.6.2/24."""

    def __post_init__(self) -> None:
        if not MAC.fullmatch(self.mac):
            raise BadInputError(f"{self.mac!r} is not a MAC address in lower case")
        if not INTERFACE.fullmatch(self.name):
            raise BadInputError(f"{self.name!r} is not an interface name")
        try:
            ipaddress.ip_interface(self.address)
        except ValueError as error:
            raise BadInputError(f"{self.address!r} is not an address with a prefix length") from error


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    """Everything that decides what an image contains."""

    client_public_key: str
    """The key that may log in as root, as one line of authorized_keys."""

    host_key: Path
    """The file of the guest's private Ed25519 host key; its public key is beside it, with the suffix .pub."""

    links: tuple[GuestLink, ...]
    suite: str = "trixie"
    mirror: str | None = None
    """A URL; the host's own mirror when there is none."""

    snapshot: str | None = None
    """A date, for the archive as it was then."""

    variant: Variant = Variant.BASE
    packages: tuple[str, ...] = ()
    """Packages on top of the variant's."""

    disk_size: int = 2 << 30
    """Octets of the guest's disk; what is not used takes no room."""

    def all_packages(self) -> tuple[str, ...]:
        return tuple(sorted({*self.variant.packages, *self.packages}))

    def key(self) -> str:
        """The fingerprint of the recipe, of the files that are rendered into the image, and of the keys' digests."""
        recipe = {name: value for name, value in asdict(self).items() if name not in {"host_key", "variant"}}
        sources = (path for path in sorted(HERE.rglob("*")) if path.is_file() and path.suffix not in {".py", ".pyc"})
        return fingerprint({
            "builder": BUILDER_VERSION,
            "recipe": recipe,
            "variant": self.variant.value,
            "packages": self.all_packages(),
            "host_key": file_digest(self.host_key) if self.host_key.exists() else "",
            "files": {str(path.relative_to(HERE)): file_digest(path) for path in sources},
        })  # fmt: skip
