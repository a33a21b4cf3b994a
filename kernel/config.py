"""Kernel configuration as data: what fragments ask for, and whether a finished `.config` kept it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import BadInputError, MpsocksError

SET = re.compile(r"(CONFIG_\w+)=(.+)")
UNSET = re.compile(r"# (CONFIG_\w+) is not set")
OFF = "n"


@dataclass(frozen=True, slots=True)
class Request:
    """One symbol as a fragment asks for it. `value` is as in a .config: y, a number, a quoted string, or n for off."""

    symbol: str
    value: str
    fragment: str


def parse_config(text: str) -> dict[str, str]:
    """The symbols of a .config; a symbol that is not set has the value n."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        if match := SET.fullmatch(line.strip()):
            values[match[1]] = match[2]
        elif match := UNSET.fullmatch(line.strip()):
            values[match[1]] = OFF
    return values


def parse_fragment(path: Path) -> list[Request]:
    """What one fragment asks for. A line that is neither a setting nor a comment is refused: it would do nothing."""
    requests = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        text = line.strip()
        settings = parse_config(text)
        if not settings and text and not text.startswith("#"):
            raise BadInputError(
                f"{path}:{number}: {text!r} is not a kernel setting",
                hint="write CONFIG_NAME=value, or # CONFIG_NAME is not set",
            )
        requests += [Request(symbol, value, path.name) for symbol, value in settings.items()]
    return requests


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(
            f"the kernel fragment {path} cannot be read",
            why=str(error),
            hint="name text files in UTF-8 with --fragment",
        ) from error


def merged(fragments: Iterable[Iterable[Request]]) -> dict[str, Request]:
    """All requests by symbol, a later fragment's over an earlier one's, as merge_config.sh has it."""
    return {request.symbol: request for fragment in fragments for request in fragment}


def unmet(requests: Mapping[str, Request], config: Mapping[str, str]) -> list[Request]:
    """The requests that a finished configuration does not hold."""
    return [request for request in requests.values() if config.get(request.symbol, OFF) != request.value]


def require_met(requests: Mapping[str, Request], config: Mapping[str, str]) -> None:
    """Raise an error that names each request which did not hold, and what the configuration has instead."""
    failed = unmet(requests, config)
    if failed:
        lines = (f"{_spelled(one)}, asked for in {one.fragment}: it is {_state(one, config)}" for one in failed)
        raise MpsocksError(
            f"{len(failed)} kernel setting{'s' if len(failed) > 1 else ''} did not hold",
            why="\n".join(lines),
            hint="a symbol that is off needs others first, or this kernel has none of that name; one that is on\n"
            "against the request is selected by another: `make menuconfig`, then /, shows which",
        )


def _spelled(request: Request) -> str:
    return f"# {request.symbol} is not set" if request.value == OFF else f"{request.symbol}={request.value}"


def _state(request: Request, config: Mapping[str, str]) -> str:
    value = config.get(request.symbol)
    return {None: "not there", OFF: "off"}.get(value, f"{value}")
