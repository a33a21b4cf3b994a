"""The command line of the proxy."""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from dataclasses import fields

from proxy import __version__
from proxy.options import HostPort, Mode, Network, Options, StartError, Timeouts
from proxy.supervisor import Supervisor

EPILOG = """examples:
  mpsocks serve --listen 10.66.6.2:6666 --allow 10.66.6.0/24
  mpsocks serve --listen 127.0.0.1:1080 --listen [::1]:1080 --allow 127.0.0.0/8 --allow ::1
  mpsocks socksify --listen 10.66.6.2:6667 --allow 10.66.6.0/24
  mpsocks socksify --listen 127.0.0.1:6667 --allow 127.0.0.0/8 --via proxy.example:1080
"""


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; the exit code."""
    parser = _parser()
    options = _options(parser, parser.parse_args(arguments))
    try:
        return Supervisor(options).run()
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
    modes = parser.add_subparsers(dest="mode", metavar="serve|socksify", required=True)
    serve = modes.add_parser("serve", help="serve SOCKS 5 and SOCKSv6 clients")
    serve.add_argument("--no-mptcp-listener", action="store_true", help="take clients over plain TCP only")
    socksify = modes.add_parser("socksify", help="forward connections that a packet filter redirects here")
    socksify.add_argument("--via", metavar="HOST:PORT", help="go through this SOCKSv6 proxy instead of directly")
    for mode in (serve, socksify):
        _add_common(mode)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--listen", metavar="ADDR:PORT", action="append", required=True, help="where to listen; may be repeated")
    add("--allow", metavar="NET", action="append", default=[], help="serve clients of this network; may be repeated")
    add("--workers", metavar="N", type=int, help="processes (default: one for each processor)")
    add("--no-mptcp", action="store_true", help="connect outward over plain TCP")
    add("--allow-loopback-destinations", action="store_true", help="let clients reach this host's loopback addresses")
    for timeout in fields(Timeouts):
        name = timeout.name.replace("_", "-")
        add(
            f"--{name}-timeout", metavar="S", type=float, default=timeout.default, help="seconds (default: %(default)g)"
        )


def _options(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Options:
    """The options, or an exit with a message about the first that is wrong."""
    if not given.allow:
        parser.error("--allow NET is required: nobody is served who is not named (for this host alone: 127.0.0.0/8)")
    mode = Mode(given.mode)
    workers = len(os.sched_getaffinity(0)) if given.workers is None else given.workers
    timeouts = {timeout.name: getattr(given, f"{timeout.name}_timeout") for timeout in fields(Timeouts)}
    if workers < 1:
        parser.error("--workers: at least one")
    if wrong := [name for name, seconds in timeouts.items() if not 0 < seconds < float("inf")]:
        parser.error(f"--{wrong[0].replace('_', '-')}-timeout: more than 0 seconds")
    try:
        via = HostPort.parse(given.via) if mode is Mode.SOCKSIFY and given.via else None
        return Options(
            mode=mode,
            listen=tuple(map(HostPort.parse_listen, given.listen)),
            allow=tuple(map(_network, given.allow)),
            workers=workers,
            mptcp=not given.no_mptcp,
            mptcp_listener=mode is Mode.SERVE and not given.no_mptcp_listener,
            allow_loopback_destinations=given.allow_loopback_destinations,
            via=via,
            timeouts=Timeouts(**timeouts),
        )
    except ValueError as error:
        parser.error(str(error))


def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=True)
