"""The command line of the proxy."""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any

from proxy import __version__, top, user_command
from proxy.config import parse, read
from proxy.options import Mode, Options, StartError
from proxy.rules import Policy
from proxy.supervisor import Supervisor
from proxy.users import Users

EPILOG = """examples:
  mpsocks serve --listen 10.66.6.2:6666 --allow 10.66.6.0/24
  mpsocks serve --listen 127.0.0.1:1080 --listen [::1]:1080 --allow 127.0.0.0/8 --allow ::1
  mpsocks serve --config /etc/mpsocks.toml --set timeouts.idle=600
  mpsocks socksify --listen 10.66.6.2:6667 --allow 10.66.6.0/24
  mpsocks socksify --listen 127.0.0.1:6667 --allow 127.0.0.0/8 --via proxy.example:1080
"""


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if "run" in given:
        return int(given.run(given))
    try:
        return Supervisor(lambda: _options(given)).run()
    except StartError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mpsocks",
        description="A SOCKS proxy and a socksifier that connect outward over Multipath TCP.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mpsocks {__version__}")
    modes = parser.add_subparsers(dest="mode", metavar="serve|socksify|user|top", required=True)
    serve = modes.add_parser("serve", help="serve SOCKS 4, 4a, 5 and SOCKSv6 clients")
    socksify = modes.add_parser("socksify", help="forward connections that a packet filter redirects here")
    socksify.add_argument("--via", metavar="HOST:PORT", help="go through this SOCKSv6 proxy instead of directly")
    user_command.add_parser(modes)
    top.add_parser(modes)
    for mode in (serve, socksify):
        add = mode.add_argument
        add("--config", metavar="FILE", type=Path, help="a TOML file; read again on SIGHUP")
        add("--listen", metavar="ADDR:PORT", action="append", default=[], help="where to listen; may be repeated")
        add("--allow", metavar="NET", action="append", default=[], help="serve this network; may be repeated")
        add("--workers", metavar="N", type=int, help="processes (default: one for each processor)")
        add("--set", metavar="KEY=VALUE", action="append", default=[],
            help="any key of the file, in its own words: timeouts.idle=600; may be repeated")  # fmt: skip
    return parser


def _options(given: argparse.Namespace) -> Options:
    """The options in the file, with what the command line adds to them or says otherwise. Raises StartError."""
    table = read(given.config) if given.config else {}
    _append(table, "listen", [{"address": address} for address in given.listen])
    if given.allow:
        _append(_table(table, "clients"), "networks", given.allow)
    if given.workers is not None:
        table["workers"] = given.workers
    if getattr(given, "via", None):
        _table(table, "outward")["via"] = given.via
    for assignment in given.set:
        _merge(table, _assigned(assignment))
    if sys.stderr.isatty():
        _table(table, "operations").setdefault("log", "text")
    try:
        options = parse(table, Mode(given.mode))
        # Made once for its errors: nothing is opened for what no worker could begin with.
        Policy(options.rules, options.outward)
        if options.clients.users is not None:
            Users.load(options.clients.users)
        return options
    except ValueError as error:
        raise StartError(f"{given.config}: {error}" if given.config else str(error)) from error


def _assigned(assignment: str) -> dict[str, Any]:
    try:
        return tomllib.loads(assignment)
    except tomllib.TOMLDecodeError as error:
        raise StartError(f"--set {assignment}: not KEY=VALUE as in TOML, with texts in quotes: {error}") from None


def _append(table: dict[str, Any], key: str, more: list[Any]) -> None:
    there = table.get(key, [])
    if isinstance(there, list):  # what is none is told of with all other mistakes
        table[key] = there + more


def _table(table: dict[str, Any], key: str) -> dict[str, Any]:
    there = table.setdefault(key, {})
    return there if isinstance(there, dict) else {}


def _merge(table: dict[str, Any], more: dict[str, Any]) -> None:
    """Put `more` over `table`; tables grow, everything else is replaced."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(table.get(key), dict):
            _merge(table[key], value)
        else:
            table[key] = value
