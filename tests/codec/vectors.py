"""Check a file of test vectors against the codec: python -m tests.codec.vectors FILE

Prints a line for each mismatch, then `N cases, M mismatches`; exit code 1 if there is any. A case with `message` must
encode to `hex` and decode from it; one with `parse` must end in one of its `accept`. Superseded drafts are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codec import rfc1929
from codec.errors import NEED_DATA, ProtocolError, RemoteProtocolError, VersionMismatchError
from codec.socks6 import udp, wire
from codec.socks6.draft04 import wire as wire04
from tests.codec.vector_grammar import PADDING_COUNTED, parse_message

FILE = Path(__file__).parent / "socks6.json"


@dataclass(frozen=True, slots=True)
class Codec:
    """How messages of one kind are read and written."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


_UDP = Codec(udp.encode_udp, udp.decode_udp)
_BARE = {
    "upreq": Codec(rfc1929.encode_user_password, rfc1929.decode_user_password),
    "uprep": Codec(rfc1929.encode_status, rfc1929.decode_status),
}
CODECS: dict[str, dict[str, Codec]] = {
    "11": {
        "req": Codec(wire.encode_request, wire.decode_request),
        "ver": Codec(wire.encode_version_mismatch, wire.decode_version_mismatch),
        "auth": Codec(wire.encode_authentication_reply, wire.decode_authentication_reply),
        "op": Codec(wire.encode_operation_reply, wire.decode_operation_reply),
        "uinit": _UDP,
        "uconf": _UDP,
        "udgram": _UDP,
        "uerr": _UDP,
        **_BARE,
    },
    "04": {
        "req": Codec(wire04.encode_request, wire04.decode_request),
        "ver": Codec(wire04.encode_version_mismatch, wire04.decode_version_mismatch),
        "auth": Codec(wire04.encode_authentication_reply, wire04.decode_authentication_reply),
        "op": Codec(wire04.encode_operation_reply, wire04.decode_operation_reply),
        **_BARE,
    },
}
"""By draft and kind of message."""


@dataclass(frozen=True, slots=True)
class Case:
    """One entry of the file. `message` or `parse` is empty; `accept` belongs to `parse`."""

    id: str
    draft: str
    octets: bytes
    message: str
    parse: str
    accept: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.parse or self.message.split()[0]

    @property
    def codec(self) -> Codec:
        return CODECS[self.draft][self.kind]

    @property
    def is_sent(self) -> bool:
        """Whether this form is one that the codec sends, too."""
        return bool(self.message) and not self.message.endswith(PADDING_COUNTED)


def load(path: Path = FILE) -> list[Case]:
    """Every case in the file but those of superseded drafts."""
    cases = (_case(entry) for entry in json.loads(path.read_text()))
    return [case for case in cases if case.draft in CODECS]


def _case(entry: dict[str, Any]) -> Case:
    octets = bytes.fromhex(entry["hex"])
    accept = tuple(entry.get("accept", ()))
    return Case(entry["id"], entry["draft"], octets, entry.get("message", ""), entry.get("parse", ""), accept)


def outcome(case: Case) -> str:
    """What becomes of a `parse` case, in the file's words."""
    try:
        decoded = case.codec.decode(case.octets)
    except VersionMismatchError:
        return "version-mismatch"
    except RemoteProtocolError:
        return "malformed"
    return "need-more" if decoded is NEED_DATA else "ok"


def mismatches(case: Case) -> Iterator[str]:
    """What is wrong with a case, a line each."""
    if case.parse:
        if (found := outcome(case)) not in case.accept:
            yield f"{found}, where {' or '.join(case.accept)} is right"
        return
    try:
        message = parse_message(case.draft, case.message)
        if case.is_sent and (encoded := case.codec.encode(message)) != case.octets:
            yield f"encodes to {encoded.hex()}, not {case.octets.hex()}"
        if (decoded := case.codec.decode(case.octets)) != (message, len(case.octets)):
            yield f"decodes to {decoded}, not {message} and {len(case.octets)} octets"
    except ProtocolError as error:
        yield f"refused: {error}"
    except (KeyError, IndexError, TypeError, ValueError) as error:
        yield f"not a line of the grammar: {case.message} ({error!r})"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.codec.vectors", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=FILE, help="a list of cases (default: the project's own)")
    cases = load(parser.parse_args(arguments).file)
    found = [f"{case.id}: {line}" for case in cases for line in mismatches(case)]
    for line in found:
        print(line)
    print(f"{len(cases)} cases, {len(found)} mismatches")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
