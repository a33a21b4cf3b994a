"""The configuration file: TOML, one table for each dataclass of `proxy.options`, keys by the names of the fields.

    workers = 2

    [[listen]]
    address = "10.66.6.2:6666"

    [clients]
    networks = ["10.66.6.0/24"]

Everything is checked before anything is opened, and a mistake is told with its place and what would be right.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from codec.command import Command
from codec.socks6.tokens import LARGEST_WINDOW
from proxy.options import HostPort, Listen, Mode, Options, StartError

MOST_WORKERS = 128
"""The first octet of a session's ID is the number of its worker, and a reload has twice as many for a while."""
_KINDS: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_LONGER = {"rule": "rules"}
"""A table that may stand several times has its name in the singular: [[rule]]."""


def read(path: Path) -> dict[str, Any]:
    """The table that a file holds. Raises StartError."""
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise StartError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartError(f"{path} is not TOML: {error}") from error


def parse(table: Mapping[str, Any], mode: Mode) -> Options:
    """The options in a table that TOML made. Raises ValueError."""
    named = {"listen": [], "clients": {}, **{_LONGER.get(key, key): value for key, value in table.items()}}
    if "mode" in named:
        raise ValueError("mode: it is the command that says so: serve or socksify")
    options: Options = _table(Options, {**named, "mode": mode.value}, "")
    _check(options)
    return options


def _check(options: Options) -> None:
    """What concerns more than one field."""
    if not options.listen:
        raise ValueError("listen (or --listen): there is none; give an address and a port")
    if not options.clients.networks:
        raise ValueError("clients.networks (or --allow): only who is named is served; for this host alone: 127.0.0.0/8")
    for number, listen in enumerate(options.listen, 1):
        _check_listen(listen, f"listen #{number}", options)
    for number, source in enumerate(options.outward.sources, 1):
        _check_address(source, f"outward.sources #{number}")
    if options.outward.nameserver is not None:
        _check_address(options.outward.nameserver.host, "outward.nameserver", "an address")
    if options.outward.via is not None and options.mode is Mode.SERVE:
        raise ValueError("outward.via: only a socksifier goes through another proxy")
    if options.operations.metrics is not None:
        _check_address(options.operations.metrics.host, "operations.metrics")
    _check_numbers(options)


def _check_numbers(options: Options) -> None:
    if not 1 <= options.workers <= MOST_WORKERS:
        raise ValueError(f"workers: at least one, at most {MOST_WORKERS}")
    for timeout in fields(options.timeouts):
        if not 0 < getattr(options.timeouts, timeout.name) < float("inf"):
            raise ValueError(f"timeouts.{timeout.name}: more than 0 seconds")
    if not 0 < options.outward.happy_eyeballs_delay < float("inf"):
        raise ValueError("outward.happy_eyeballs_delay: more than 0 seconds")
    for limit in fields(options.limits):
        if getattr(options.limits, limit.name) < 0:
            raise ValueError(f"limits.{limit.name}: not less than 0")
    if not 1 <= options.limits.window <= LARGEST_WINDOW:
        raise ValueError(f"limits.window: at least one, at most {LARGEST_WINDOW}")
    if options.clients.failures_per_minute < 1:
        raise ValueError("clients.failures_per_minute: at least one")


def _check_listen(listen: Listen, where: str, options: Options) -> None:
    _check_address(listen.address.host, f"{where}.address")
    if listen.address.port and [one.address for one in options.listen].count(listen.address) > 1:
        raise ValueError(f"{where}.address: {listen.address} stands more than once")
    if listen.tls and options.tls is None:
        raise ValueError(f"{where}.tls: needs a table [tls] with certificate and key")
    if listen.tls and options.mode is Mode.SOCKSIFY:
        raise ValueError(f"{where}.tls: redirected clients do not know that they speak to a proxy")
    if any(not 0 <= version <= 0xFF or version in (4, 5) for version in listen.versions):
        raise ValueError(f"{where}.versions: octets other than 4 and 5, which SOCKS 4 and 5 begin with")


def _check_address(host: str, where: str, what: str = "an address of this host") -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{where}: {what} is expected, not {host!r}") from None


def _table(kind: Any, table: Any, where: str) -> Any:
    if not isinstance(table, Mapping):
        raise ValueError(f"{where}: a table is expected, not {table!r}")
    hints = get_type_hints(kind)
    known = {one.name: one for one in fields(kind)}
    prefix = f"{where}." if where else ""
    for key in table:
        if key not in known:
            raise ValueError(f"{prefix}{key}: there is no such key; there are {', '.join(known)}")
    for one in known.values():
        if one.name not in table and one.default is MISSING and one.default_factory is MISSING:
            raise ValueError(f"{prefix}{one.name}: is missing")
    return kind(**{key: _value(hints[key], value, f"{prefix}{key}") for key, value in table.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    if get_origin(kind) in (Union, UnionType):
        members = [member for member in get_args(kind) if member is not NoneType]
        kind = members[0] if len(members) == 1 else kind
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where}: a list is expected, not {value!r}")
        return tuple(_value(get_args(kind)[0], one, f"{where} #{number}") for number, one in enumerate(value, 1))
    if is_dataclass(kind) and kind not in _PARSERS:
        return _table(kind, value, where)
    return _scalar(kind, value, where)


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum) and kind not in _PARSERS:
        allowed = [member.value for member in kind]
        if value not in allowed:
            raise ValueError(f"{where}: one of {', '.join(map(repr, allowed))} is expected, not {value!r}")
        return kind(value)
    if kind is float and type(value) is int:
        return float(value)
    if kind in _KINDS:
        if type(value) is not kind:
            raise ValueError(f"{where}: {_KINDS[kind]} is expected, not {value!r}")
        return value
    try:
        return _PARSERS[kind](value)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{where}: {error}") from None


def _command(name: str) -> Command:
    if name not in Command.__members__:
        raise ValueError(f"one of {', '.join(Command.__members__)} is expected, not {name!r}")
    return Command[name]


def _ports(text: str | int) -> range:
    """One port, or a range with both ends in it: 80 or "1024-65535"."""
    low, _, high = str(text).partition("-")
    ports = range(int(low), int(high or low) + 1)
    if not ports or ports.start < 0 or ports.stop > 0x10000:
        raise ValueError(f'{text!r} is not a port, nor a range of ports such as "1024-65535"')
    return ports


_PARSERS: dict[Any, Callable[[Any], Any]] = {
    HostPort: HostPort.parse,
    Command: _command,
    Path: Path,
    range: _ports,
    ipaddress.IPv4Network | ipaddress.IPv6Network: ipaddress.ip_network,
}
"""What stands in the file as a text (or, for a port, a number)."""
