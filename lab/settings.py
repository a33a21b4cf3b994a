"""The lab's configuration: Invoke's layered configuration, checked once and frozen.

Everything lives below the key `mpsocks` in `invoke.yaml`, `~/.invoke.yaml` or `INVOKE_MPSOCKS_…` variables. The fields
of `Settings` and of its sections are all the settings there are, with their defaults; any other name is refused.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from lab.errors import BadInputError
from lab.libvirt_host import EMBEDDED


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What the guest's Debian image is made from."""

    suite: str = "trixie"
    mirror: str = ""
    """URL of a Debian archive; empty takes the host's own from its apt configuration."""
    snapshot: str = ""
    """A date such as 20260101T000000Z: packages as they were then. Empty takes today's."""


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """What the guest's kernel is made from."""

    source: str = ""
    """A directory, a tarball or a git URL; empty takes the suite's linux-source package."""
    sha256: str = ""
    """What a tarball's SHA-256 must be."""
    ref: str = ""
    """The git branch, tag or commit."""
    fragments: str = ""
    """Paths of further configuration fragments, separated by commas."""
    stock: bool = False
    """Debian's packaged cloud kernel instead of one of our own."""


@dataclass(frozen=True, slots=True)
class GuestSettings:
    """The virtual machine."""

    memory: int = 512
    """MiB."""
    cpus: int = 2
    accel: str = "auto"
    """`kvm`, `tcg`, or `auto`: KVM where it has been seen to work."""
    nameservers: str = ""
    """Addresses of the guest's resolvers, separated by commas; empty takes the lab host's own."""
    boot_timeout: int = 120
    """Seconds until a guest that does not answer is given up."""


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What `check-mptcp` fetches."""

    page_url: str = "http://check.mptcp.dev/"
    """A page that tells whether it was fetched over MPTCP."""
    bulk_url: str = ""
    """A file of some megabytes on a server that speaks MPTCP: a small page cannot use two subflows."""
    bulk_sha256: str = ""
    """The file's SHA-256, when known."""


@dataclass(frozen=True, slots=True)
class EmulationSettings:
    """The emulated internet."""

    prefix: str = "mpsocks"
    """First part of every namespace's name."""
    fixed_down: int = 40_000_000
    """Bit/s from the fixed-line ISP behind wlp1s0."""
    fixed_up: int = 10_000_000
    mobile_down: int = 24_000_000
    """Bit/s from the mobile ISP behind wlan1."""
    mobile_up: int = 8_000_000
    interception: bool = False
    """Whether the mobile ISP has a box that answers plain TCP itself, and passes MPTCP slower."""


@dataclass(frozen=True, slots=True)
class NeutralitySettings:
    """What `check-neutrality` measures toward."""

    targets: str = ""
    """HOST:PORT, HOST:PORT/PATH, with =mptcp or =tcp when it is known what the server speaks; separated by commas."""
    path: str = "/"
    """Of a large file, on targets that name none; `{bytes}` in it is replaced by how much is wanted."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration."""

    image: ImageSettings = ImageSettings()
    kernel: KernelSettings = KernelSettings()
    guest: GuestSettings = GuestSettings()
    check: CheckSettings = CheckSettings()
    neutrality: NeutralitySettings = NeutralitySettings()
    testbed: EmulationSettings = EmulationSettings()
    uri: str = EMBEDDED
    """libvirt's connection URI."""
    cache: str = ""
    """Folder of built images and kernels; empty is `${XDG_CACHE_HOME:-~/.cache}/mpsocks`."""
    state: str = ""
    """Folder of the journal and of running guests; empty is `${XDG_STATE_HOME:-~/.local/state}/mpsocks`."""

    @property
    def cache_folder(self) -> Path:
        return _folder(self.cache) if self.cache else _xdg("XDG_CACHE_HOME", ".cache")

    @property
    def state_folder(self) -> Path:
        return _folder(self.state) if self.state else _xdg("XDG_STATE_HOME", ".local/state")


def _folder(text: str) -> Path:
    path = Path(text)
    with suppress(RuntimeError):  # ~NAME of nobody
        path = path.expanduser()
    # Absolute: libvirt, and commands that are run in another folder, are told of it too.
    return path.absolute()


def _xdg(variable: str, fallback: str) -> Path:
    return _folder(os.environ.get(variable) or f"~/{fallback}") / "mpsocks"


SPELLED_BOOL = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("", "0", "false", "no", "off"), False),
}
SECTIONS = {
    "image": ImageSettings,
    "kernel": KernelSettings,
    "guest": GuestSettings,
    "check": CheckSettings,
    "neutrality": NeutralitySettings,
    "testbed": EmulationSettings,
}


def defaults() -> dict[str, Any]:
    """The nested mapping that Invoke is configured with: every setting there is, with its default as text.

    Text, since Invoke casts a variable to the type of the default, and shows a traceback when it cannot.
    """
    plain = {field.name: getattr(Settings(), field.name) for field in fields(Settings)}
    for name in SECTIONS:
        plain[name] = {field.name: _spelled(getattr(plain[name], field.name)) for field in fields(plain[name])}
    return {"mpsocks": plain}


def _spelled(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def parse(config: Mapping[str, Any]) -> Settings:
    """The configuration below `mpsocks`, checked; `BadInputError` names the setting that is wrong."""
    values = dict(config)
    sections = {name: _section(name, section, values.pop(name, {})) for name, section in SECTIONS.items()}
    _refuse_unknown("mpsocks", values, [field.name for field in fields(Settings)])
    plain = {name: _converted(f"mpsocks.{name}", value, getattr(Settings(), name)) for name, value in values.items()}
    settings = Settings(**sections, **plain)
    _check(settings)
    return settings


def _section(name: str, section: type[Any], values: Mapping[str, Any]) -> Any:
    where = f"mpsocks.{name}"
    known = {field.name: field.default for field in fields(section)}
    _refuse_unknown(where, values, list(known))
    return section(**{key: _converted(f"{where}.{key}", value, known[key]) for key, value in dict(values).items()})


def _converted(where: str, value: Any, default: Any) -> Any:
    """The value as one of the default's type, which a variable can only spell."""
    wanted = type(default)
    # Not isinstance: True would pass for an int.
    if type(value) is wanted:
        return value
    if isinstance(value, str) and wanted is int:
        with suppress(ValueError):
            return int(value)
    if isinstance(value, str) and wanted is bool and value.strip().lower() in SPELLED_BOOL:
        return SPELLED_BOOL[value.strip().lower()]
    kind = {int: "a whole number", bool: "true or false", str: "text"}[wanted]
    example = f", such as {default!r}" if default else ""
    raise BadInputError(f"{where} is {value!r}", hint=f"it must be {kind}{example}")


def _refuse_unknown(where: str, values: Mapping[str, Any], known: list[str]) -> None:
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise BadInputError(
                f"there is no setting {where}.{name}",
                hint=f"did you mean {where}.{near[0]}?" if near else f"known are: {', '.join(known)}",
            )


def _check(settings: Settings) -> None:
    guest = settings.guest
    if guest.accel not in ("auto", "kvm", "tcg"):
        raise BadInputError(f"mpsocks.guest.accel is {guest.accel!r}", hint="it must be auto, kvm or tcg")
    if guest.memory < 256 or not 1 <= guest.cpus <= 64:
        raise BadInputError(
            f"a guest with {guest.memory} MiB and {guest.cpus} processors would not run",
            hint="mpsocks.guest.memory is in MiB, at least 256; mpsocks.guest.cpus is 1 to 64",
        )
    if guest.boot_timeout < 1:
        raise BadInputError(f"mpsocks.guest.boot_timeout is {guest.boot_timeout}", hint="it is in seconds, at least 1")
    for address in split_list(guest.nameservers):
        try:
            ip_address(address)
        except ValueError as error:
            raise BadInputError("mpsocks.guest.nameservers is not a list of addresses", why=str(error)) from error


def split_list(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated list, without blanks and empty ones."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
