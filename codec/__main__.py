"""Read and write single SOCKSv6 messages: octets in hex to JSON, and JSON to octets in hex."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import NoReturn, TextIO

from codec.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError, VersionMismatchError
from codec.json_form import JsonFormError, from_json, to_json
from codec.kinds import DRAFTS, KINDS, Draft, Kind
from codec.socks6.messages import VERSION
from codec.socks6.option_list import OptionFault

EXAMPLES = {
    "request": "0601000801bb0001c00002010001000884020200",
    "auth-reply": "060000080004000802010000",
    "operation-reply": "060000001f900001c0000209",
    "udp": "06030016010203040506070801000035c00002356869",
    "mismatch": "06",
}
"""One message of draft-11 for each kind: a CONNECT that wishes for MPTCP, its replies, a datagram to port 53."""

EPILOG = """examples, each of which `encode` turns back:
{}
  echo cf | python -m codec decode --version 0xcf mismatch

In JSON the keys are the fields, enums stand by name and octets in hex:
  echo '{{"command": "CONNECT", "address": {{"type": "IPV4", "host": "192.0.2.1"}}, "port": 443, "options":
    [{{"option": "Multipath", "leg": "PROXY_REMOTE", "wanted": true}}]}}' | python -m codec encode request

exit codes: 0 done, 1 input that is neither hex nor JSON, or a wrong option, 2 more octets are needed, 3 malformed,
4 another version""".format(
    "\n".join(f"  echo {octets} | python -m codec decode {kind}" for kind, octets in EXAMPLES.items())
)


class ExitCode(IntEnum):
    """How it went. 2, which argparse has for a wrong option, is taken."""

    OK = 0
    UNUSABLE = 1
    NEED_MORE = 2
    MALFORMED = 3
    VERSION_MISMATCH = 4


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.UNUSABLE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m codec",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    directions = parser.add_subparsers(dest="direction", required=True, metavar="decode|encode")
    for name, does in (("decode", "hex on stdin to JSON"), ("encode", "JSON on stdin to hex")):
        direction = directions.add_parser(
            name, help=does, description=does, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        direction.add_argument("--draft", choices=DRAFTS, default="11", help="the dialect (default: 11)")
        direction.add_argument(
            "--version", type=_octet, default=VERSION, metavar="N", help="the version octet, such as 0xcf (default: 6)"
        )
        direction.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    return parser


def _octet(text: str) -> int:
    """A number as Python reads it, 0 to 255."""
    number = int(text, 0)
    if not 0 <= number <= 0xFF:
        raise ValueError
    return number


_octet.__name__ = "octet"  # what argparse calls a value that is none


def _decode(kind: Kind, version: int, text: str) -> ExitCode:
    try:
        octets = bytes.fromhex(text)
    except ValueError as error:
        return _fail(ExitCode.UNUSABLE, f"the input is not hex: {error}")
    faults: list[OptionFault] = []
    try:
        decoded = kind.decode(octets, version, faults)
    except VersionMismatchError as error:
        return _fail(ExitCode.VERSION_MISMATCH, str(error))
    except RemoteProtocolError as error:
        return _fail(ExitCode.MALFORMED, str(error))
    if decoded is NEED_DATA:
        return _fail(ExitCode.NEED_MORE, f"{len(octets)} octets are not the whole message")
    message, end = decoded
    print(json.dumps(to_json(message), indent=2))
    for fault in faults:
        print(f"dropped the option of kind {fault.kind} at octet {fault.offset}: {fault.why}", file=sys.stderr)
    if end < len(octets):
        print(f"{len(octets) - end} octets follow the message", file=sys.stderr)
    return ExitCode.OK


def _encode(draft: Draft, kind: Kind, version: int, text: str) -> ExitCode:
    try:
        described = json.loads(text)
    except json.JSONDecodeError as error:
        return _fail(ExitCode.UNUSABLE, f"the input is not JSON: {error}")
    try:
        octets = kind.encode(from_json(kind.form, described, draft.classes), version)
    except (JsonFormError, LocalProtocolError) as error:
        return _fail(ExitCode.MALFORMED, str(error))
    print(octets.hex())
    return ExitCode.OK


def _fail(code: ExitCode, why: str) -> ExitCode:
    print(why, file=sys.stderr)
    return code


def main(arguments: Sequence[str] | None = None, source: TextIO | None = None) -> ExitCode:
    """Run it on `arguments`, reading from `source` (stdin)."""
    chosen = _parser().parse_args(arguments)
    draft = DRAFTS[chosen.draft]
    kind = draft.kinds[chosen.kind]
    text = (source or sys.stdin).read()
    if chosen.direction == "decode":
        return _decode(kind, chosen.version, text)
    return _encode(draft, kind, chosen.version, text)


if __name__ == "__main__":
    sys.exit(main())
